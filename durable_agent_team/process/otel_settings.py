"""Validates the OTEL_* variables before anything is started: exporters report invalid values late,
in their own terms, or not at all."""

from collections.abc import Iterator, Mapping, MutableMapping

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.providers.url_secrets import without_url_secrets

PROTOCOL = "http/protobuf"
SIGNALS = ("", "TRACES_", "METRICS_")


def forget_empty(environ: MutableMapping[str, str]) -> None:
    """Removes empty OTEL_* variables: they count as not set, but some exporters fail on them."""
    for name in [name for name, value in environ.items() if not value]:
        if name.startswith("OTEL_"):
            del environ[name]


def problems(environ: Mapping[str, str]) -> list[Problem]:
    """Every problem with the variables that are set."""
    return [*_exporter(environ), *_numbers(environ)]


def _exporter(environ: Mapping[str, str]) -> Iterator[Problem]:
    for signal in SIGNALS:
        name = f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT"
        endpoint = environ.get(name, "")
        if endpoint and not _is_url(endpoint):
            yield Problem(
                field=name,
                value=without_url_secrets(endpoint)[:200],
                what="is not an http:// or https:// URL",
                remedy="set it to the collector's OTLP address over HTTP, such as"
                " http://127.0.0.1:4318",
            )
        name = f"OTEL_EXPORTER_OTLP_{signal}PROTOCOL"
        protocol = environ.get(name, "")
        if protocol and protocol != PROTOCOL:
            yield Problem(
                field=name,
                value=protocol[:200],
                what=f"only {PROTOCOL} is supported",
                remedy=f"set it to {PROTOCOL}, and the endpoint to the collector's HTTP port"
                " (4318 as a rule)",
            )


def _numbers(environ: Mapping[str, str]) -> Iterator[Problem]:
    timeouts = {f"OTEL_EXPORTER_OTLP_{signal}TIMEOUT": "seconds" for signal in SIGNALS}
    for name, unit in {"OTEL_METRIC_EXPORT_INTERVAL": "milliseconds", **timeouts}.items():
        text = environ.get(name, "")
        if text and not _is_positive(text):
            yield Problem(
                field=name,
                value=text[:200],
                what=f"is not a number of {unit} above 0",
                remedy="correct it, or leave it out",
            )


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://")) and len(text.split("://", 1)[1]) > 0


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False
