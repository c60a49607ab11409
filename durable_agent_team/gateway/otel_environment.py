"""The standard OTEL_* variables: which signals they turn on, and what is wrong with them."""

import re
from collections.abc import Mapping, MutableMapping
from typing import Literal

PROTOCOL = "http/protobuf"


def wanted(environment: Mapping[str, str], signal: Literal["traces", "metrics"] = "traces") -> bool:
    """Whether the variables name an endpoint or an exporter for the signal, and it is not off."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = environment.get(f"OTEL_{signal.upper()}_EXPORTER", "").lower().split(",")
    if "none" in exporters:
        return False
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    return "otlp" in exporters or any(environment.get(name) for name in endpoints)


def remove_empty(environment: MutableMapping[str, str]) -> None:
    """Removes empty variables: they count as not set, but some exporters do not treat them so."""
    for name in [name for name, value in environment.items() if not value]:
        if name.startswith("OTEL_"):
            del environment[name]


def problems(environment: Mapping[str, str]) -> list[str]:
    """One line for each wrong variable. An exporter would report it late, or never."""
    if not wanted(environment) and not wanted(environment, "metrics"):
        return []
    found = []
    for signal in ("", "TRACES_", "METRICS_"):
        name = f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT"
        if (text := environment.get(name, "")) and not re.match(r"https?://.", text):
            found.append(f"{name} must be an http:// or https:// URL (got {text!r})")
        name = f"OTEL_EXPORTER_OTLP_{signal}PROTOCOL"
        if (text := environment.get(name, "")) not in ("", PROTOCOL):
            found.append(f"{name} must be {PROTOCOL}: no other is supported (got {text!r})")
        name = f"OTEL_EXPORTER_OTLP_{signal}TIMEOUT"
        if (text := environment.get(name, "")) and not _is_positive(text):
            found.append(f"{name} must be a number of seconds above 0 (got {text!r})")
    name = "OTEL_METRIC_EXPORT_INTERVAL"
    if (text := environment.get(name, "")) and not _is_positive(text):
        found.append(f"{name} must be a number of milliseconds above 0 (got {text!r})")
    return found


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False
