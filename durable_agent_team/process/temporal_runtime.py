"""Configures the runtime of Temporal's SDK, one for each process, before its first client.

In the worker, the runtime's log lines and metrics join the worker's own; in a command it is silent.
"""

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    OpenTelemetryConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from durable_agent_team.process import telemetry
from durable_agent_team.providers.otel_variables import wanted

LOGGER: Final = "temporal"
DEFAULT_ENDPOINT: Final = "http://localhost:4318"
DEFAULT_INTERVAL_MILLISECONDS: Final = 60_000.0


def start() -> None:
    """For the worker. Without this, the SDK writes colored text to standard output."""
    metrics = wanted(os.environ, "metrics")
    Runtime.set_default(
        Runtime(
            telemetry=TelemetryConfig(
                logging=_logging(),
                metrics=_metrics(os.environ) if metrics else None,
                global_tags=_tags() if metrics else {},
                attach_service_name=False,
            )
        ),
        error_if_already_set=False,
    )


def start_silent() -> None:
    """For a command: its output is read by programs, and it reports connection errors itself."""
    Runtime.set_default(
        Runtime(telemetry=TelemetryConfig(logging=None)), error_if_already_set=False
    )


def _logging() -> LoggingConfig:
    """Keeps fields out of the message, as some contain whole errors; `logs` selects from them."""
    return LoggingConfig(
        filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
        forwarding=LogForwardingConfig(
            logger=logging.getLogger(LOGGER),
            append_target_to_name=False,
            prepend_target_on_message=False,
            append_log_fields_to_message=False,
        ),
    )


def _metrics(environ: Mapping[str, str]) -> OpenTelemetryConfig:
    return OpenTelemetryConfig(
        url=metrics_url(environ),
        headers=_headers(environ),
        metric_periodicity=timedelta(milliseconds=_interval_milliseconds(environ)),
        durations_as_seconds=True,
        http=True,
    )


def _tags() -> dict[str, str]:
    attributes = telemetry.resource(telemetry.SERVICE).attributes
    return {name: str(value) for name, value in attributes.items()}


def metrics_url(environ: Mapping[str, str]) -> str:
    """The endpoint for metrics, by OpenTelemetry's specification: the signal's own endpoint
    unchanged, or a path below the common one."""
    own = environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
    common = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or DEFAULT_ENDPOINT
    return own or f"{common.rstrip('/')}/v1/metrics"


def _headers(environ: Mapping[str, str]) -> dict[str, str]:
    from opentelemetry.util.re import parse_env_headers  # noqa: PLC0415

    names = ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
    text = next((environ[name] for name in names if environ.get(name)), "")
    return dict(parse_env_headers(text, liberal=True))


def _interval_milliseconds(environ: Mapping[str, str]) -> float:
    """As OpenTelemetry's Python SDK reads it: an invalid number counts as not set."""
    with suppress(ValueError):
        given = float(environ.get("OTEL_METRIC_EXPORT_INTERVAL") or "")
        if given > 0:
            return given
    return DEFAULT_INTERVAL_MILLISECONDS
