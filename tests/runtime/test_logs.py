"""Log lines: the form that was asked for, and the run, call and trace that they belong to."""

import json
import logging
import os
import pty
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider

from contracts.labels import AGENT, CALL_KEY, LABELS, RUN, SPAN_ID, TASK, TEAM, TRACE_ID
from runtime import logs, telemetry
from runtime.settings import PROJECT_ROOT
from tests.activities.support import context

LABELLED = {RUN: "run-1", TEAM: "brief", TASK: "demand", AGENT: "research", CALL_KEY: "key-1"}


def record(message: str = "something") -> logging.LogRecord:
    return logging.LogRecord("a", logging.WARNING, "f", 1, message, (), None)


async def in_an_activity() -> dict[str, object]:
    LABELS.set({**LABELLED, TRACE_ID: "a" * 32, SPAN_ID: "b" * 16})
    found: dict[str, object] = json.loads(logs.JsonLines().format(record()))
    return found


async def test_a_line_of_any_logger_in_a_call_names_it() -> None:
    line = await context().run(in_an_activity)
    assert line["run_id"]
    assert line["activity_type"]
    assert line["workflow_id"] == "run-1"
    assert (line["team"], line["task"], line["agent"]) == ("brief", "demand", "research")
    assert line["call_key"] == "key-1"
    assert (line["trace_id"], line["span_id"]) == ("a" * 32, "b" * 16)


def test_within_a_span_the_line_is_the_spans() -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("s") as span:
        line = json.loads(logs.JsonLines().format(record()))
    assert line["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert line["span_id"] == f"{span.get_span_context().span_id:016x}"


def test_a_line_outside_of_a_run_has_nothing_of_it() -> None:
    line = json.loads(logs.JsonLines().format(record()))
    assert set(line) == {"time", "level", "logger", "message"}


def test_the_same_as_text() -> None:
    token = LABELS.set(LABELLED)
    try:
        text = logs.TextLines().format(record())
    finally:
        LABELS.reset(token)
    assert "WARNING a: something [" in text
    assert "workflow_id=run-1 team=brief task=demand agent=research call_key=key-1" in text


SAYS = "import logging; from {module} import logs; {call}; logging.getLogger('x').warning('hello')"


def said(module: str, form: str | None, terminal: bool) -> str:
    """What a process writes to its standard error."""
    call = f"logs.configure(form={form!r})"
    command = [sys.executable, "-c", SAYS.format(module=module, call=call)]
    reader, writer = pty.openpty() if terminal else os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as out:
        subprocess.run(command, stderr=writer, cwd=PROJECT_ROOT, timeout=60, check=True)
        text = out.read(10_000).decode()
        os.close(writer)
    return text


@pytest.mark.parametrize("module", ["runtime", "gateway"])
@pytest.mark.parametrize(
    ("form", "terminal", "json_expected"),
    [(None, False, True), (None, True, False), ("text", False, False), ("json", True, True)],
)
def test_text_on_a_terminal_and_json_elsewhere_unless_it_is_said(
    module: str, form: str | None, terminal: bool, json_expected: bool
) -> None:
    text = said(module, form, terminal)
    assert text.startswith("{") is json_expected
    if json_expected:
        line = json.loads(text)
        assert (line["level"], line["logger"], line["message"]) == ("warning", "x", "hello")
    else:
        assert "WARNING" in text
        assert "hello" in text


@pytest.mark.parametrize(
    ("values", "traces", "metrics"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://x/v1/metrics"}, False, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_METRICS_EXPORTER": "none"}, True, False),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, False, True),
        ({"OTEL_METRICS_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, False, False),
    ],
)
def test_each_signal_is_asked_for_by_itself(
    values: dict[str, str], traces: bool, metrics: bool
) -> None:
    assert telemetry.wanted(values) is traces
    assert telemetry.wanted(values, "metrics") is metrics


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "http://localhost:4318/v1/metrics"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:1/base/"}, "http://x:1/base/v1/metrics"),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://x:1/in"}, "http://x:1/in"),
    ],
)
def test_metrics_go_where_the_standard_says(values: dict[str, str], url: str) -> None:
    assert telemetry.metrics_url(values) == url
