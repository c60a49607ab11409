"""The OTEL_* variables: which signals they turn on, and what is wrong with them. OpenTelemetry
itself reports a wrong value late, with the secrets that it contains, by an exception, or not at
all."""

import re
from collections.abc import Iterator, Mapping, MutableMapping
from importlib.metadata import entry_points
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from durable_agent_team.providers.url_secrets import without_url_secrets

PROTOCOL: Final = "http/protobuf"
SIGNALS: Final = ("", "TRACES_", "METRICS_")
MOST: Final = 10**9
"""A larger number overflows in one of the exporters."""
COUNTS: Final = {
    **dict.fromkeys(("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BSP_MAX_QUEUE_SIZE"), 1),
    **dict.fromkeys(("OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BSP_SCHEDULE_DELAY"), 1),
    **dict.fromkeys(("OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"), 0),
    **dict.fromkeys(("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"), 0),
    **dict.fromkeys(("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT"), 0),
    **dict.fromkeys(("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT"), 0),
}
"""Each variable that is a whole number, and the least that it can be."""
CHOICES: Final = {
    "OTEL_EXPORTER_OTLP_COMPRESSION": ("gzip", "none"),
    "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION": ("gzip", "none"),
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": ("gzip", "deflate", "none"),
    "OTEL_METRICS_EXEMPLAR_FILTER": ("always_on", "always_off", "trace_based"),
}
LEAVE_OUT: Final = "correct it, or leave it out"
NO_PAIRS: Final = "is not a list of NAME=VALUE with commas between them"
PERCENT: Final = "write commas, and what is not ASCII, percent-encoded"
QUEUE: Final = 2048
BATCH: Final = 512
"""The SDK's defaults: a batch must fit the queue."""

Problem = tuple[str, str, str, str]
"""A variable's name, what of its value can be shown, what is wrong, and a remedy."""

_HEADER: Final = re.compile(r"\s*[\w!#$%&'*+.^`|~-]+\s*=([ !#-+\--:<-\[\]-~]*)", re.ASCII)
"""As the exporters read one; those that they do not understand they log, with their keys."""


def wanted(environment: Mapping[str, str], signal: Literal["traces", "metrics"] = "traces") -> bool:
    """Whether the variables name an endpoint or an exporter for the signal, and it is not off."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = environment.get(f"OTEL_{signal.upper()}_EXPORTER", "").lower().split(",")
    if "none" in exporters:
        return False
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    return "otlp" in exporters or any(environment.get(name) for name in endpoints)


def is_enabled(environment: Mapping[str, str]) -> bool:
    """Whether any signal is wanted."""
    return wanted(environment) or wanted(environment, "metrics")


def forget_unused(environment: MutableMapping[str, str]) -> None:
    """Removes empty variables: they count as not set, but some exporters fail on them. While all
    signals are off, the propagators, too: OpenTelemetry would still load them."""
    for name in [name for name, value in environment.items() if not value]:
        if name.startswith("OTEL_"):
            del environment[name]
    if not is_enabled(environment):
        environment.pop("OTEL_PROPAGATORS", None)


def otel_problems(environment: Mapping[str, str]) -> Iterator[Problem]:
    """Every variable that cannot be used; none while all signals are off."""
    if not is_enabled(environment):
        return
    for signal in SIGNALS:
        yield from _of_exporter(environment, f"OTEL_EXPORTER_OTLP_{signal}")
    yield from _not_a_number(environment, "OTEL_METRIC_EXPORT_INTERVAL", "milliseconds")
    yield from _not_a_number(environment, "OTEL_METRIC_EXPORT_TIMEOUT", "milliseconds")
    for name, least in COUNTS.items():
        text = environment.get(name, "")
        if text and not _is_count(text, least):
            yield name, text[:200], f"is not a whole number from {least} up", LEAVE_OUT
    if _count(environment, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH) > _count(
        environment, "OTEL_BSP_MAX_QUEUE_SIZE", QUEUE
    ):
        remedy = "lower it, or raise that"
        yield "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "", "is above OTEL_BSP_MAX_QUEUE_SIZE", remedy
    for name, choices in CHOICES.items():
        text = environment.get(name, "")
        if text and text.strip().lower() not in choices:
            yield name, text[:200], "is not supported", f"use {' or '.join(choices)}"
    if text := _missing_propagator(environment.get("OTEL_PROPAGATORS", "")):
        remedy = "use tracecontext and baggage, or install the package that has it"
        yield "OTEL_PROPAGATORS", text[:200], "is not installed", remedy
    attributes = _entries(environment.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    if not all(each.partition("=")[1] and each.partition("=")[0].strip() for each in attributes):
        yield "OTEL_RESOURCE_ATTRIBUTES", "", NO_PAIRS, PERCENT


def _of_exporter(environment: Mapping[str, str], prefix: str) -> Iterator[Problem]:
    endpoint = environment.get(f"{prefix}ENDPOINT", "")
    if endpoint and not _is_url(endpoint):
        remedy = "set it to the collector's OTLP address over HTTP, such as http://127.0.0.1:4318"
        what = "is not an http:// or https:// URL"
        yield f"{prefix}ENDPOINT", without_url_secrets(endpoint)[:200], what, remedy
    protocol = environment.get(f"{prefix}PROTOCOL", "")
    if protocol and protocol != PROTOCOL:
        remedy = (
            f"set it to {PROTOCOL}, and the endpoint to the collector's HTTP port (4318 as a rule)"
        )
        yield f"{prefix}PROTOCOL", protocol[:200], f"only {PROTOCOL} is supported", remedy
    if not all(map(_is_header, _entries(environment.get(f"{prefix}HEADERS", "")))):
        yield f"{prefix}HEADERS", "", NO_PAIRS, PERCENT
    yield from _not_a_number(environment, f"{prefix}TIMEOUT", "seconds")


def _not_a_number(environment: Mapping[str, str], name: str, unit: str) -> Iterator[Problem]:
    text = environment.get(name, "")
    try:
        good = not text or 0 < float(text) <= MOST
    except ValueError:
        good = False
    if not good:
        yield name, text[:200], f"is not a number of {unit} above 0, to {MOST:,}", LEAVE_OUT


def _is_count(text: str, least: int) -> bool:
    plain = text.strip()
    return plain.isascii() and plain.isdigit() and len(plain) <= 10 and least <= int(plain) <= MOST


def _count(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "")
    return int(text) if _is_count(text, 1) else default


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _entries(text: str) -> list[str]:
    return [each for each in text.split(",") if each.strip()]


def _is_header(text: str) -> bool:
    found = _HEADER.fullmatch(text.strip())
    return found is not None and unquote(found[1]).strip().isprintable()


def _missing_propagator(listed: str) -> str:
    """The first one that OpenTelemetry would not find."""
    names = [each.strip() for each in listed.split(",")] if listed else []
    if any(each.lower() == "none" for each in names):
        return ""
    known = {each.name for each in entry_points(group="opentelemetry_propagator")}
    return next((each or "an empty name" for each in names if each not in known), "")
