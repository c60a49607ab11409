"""Log lines: the form that was asked for, and the run, call and trace that they belong to."""

import asyncio
import json
import logging
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from durable_agent_team.contracts.names import TASK_QUEUE
from durable_agent_team.contracts.telemetry_labels import (
    AGENT,
    CALL_KEY,
    LABELS,
    RUN,
    SPAN_ID,
    TASK,
    TEAM,
    TRACE_ID,
)
from durable_agent_team.process import logs, temporal_runtime
from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.providers.otel_variables import wanted
from tests.activities.support import context
from tests.process.test_worker import line, worker_process
from tests.support.temporal import server

LABELLED = {RUN: "run-1", TEAM: "brief", TASK: "demand", AGENT: "research", CALL_KEY: "key-1"}


def record(message: str = "something") -> logging.LogRecord:
    return logging.LogRecord("a", logging.WARNING, "f", 1, message, (), None)


async def in_an_activity() -> dict[str, object]:
    LABELS.set({**LABELLED, TRACE_ID: "a" * 32, SPAN_ID: "b" * 16})
    found: dict[str, object] = json.loads(logs.JsonLines().format(record()))
    return found


async def test_a_line_of_any_logger_in_a_call_names_it() -> None:
    found = await context().run(in_an_activity)
    assert found["run_id"]
    assert found["activity_type"]
    assert found["workflow_id"] == "run-1"
    assert (found["team"], found["task"], found["agent"]) == ("brief", "demand", "research")
    assert found["call_key"] == "key-1"
    assert (found["trace_id"], found["span_id"]) == ("a" * 32, "b" * 16)


def test_within_a_span_the_line_is_the_spans() -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("s") as span:
        found = json.loads(logs.JsonLines().format(record()))
    assert found["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert found["span_id"] == f"{span.get_span_context().span_id:016x}"


def test_a_line_outside_of_a_run_has_nothing_of_it() -> None:
    found = json.loads(logs.JsonLines().format(record()))
    assert set(found) == {"time", "level", "logger", "message"}


def test_the_same_as_text() -> None:
    token = LABELS.set(LABELLED)
    try:
        text = logs.TextLines().format(record())
    finally:
        LABELS.reset(token)
    assert "WARNING a: something [" in text
    assert "workflow_id=run-1 team=brief task=demand agent=research call_key=key-1" in text


SAYS = (
    "import logging; import durable_agent_team.{module} as logs;"
    " {call}; logging.getLogger('x').warning('hello')"
)


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


@pytest.mark.parametrize("module", ["process.logs", "gateway.log_format"])
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
        found = json.loads(text)
        assert (found["level"], found["logger"], found["message"]) == ("warning", "x", "hello")
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
    assert wanted(values) is traces
    assert wanted(values, "metrics") is metrics


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "http://localhost:4318/v1/metrics"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:1/base/"}, "http://x:1/base/v1/metrics"),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://x:1/in"}, "http://x:1/in"),
    ],
)
def test_metrics_go_where_the_standard_says(values: dict[str, str], url: str) -> None:
    assert temporal_runtime.metrics_url(values) == url


async def test_what_temporals_sdk_has_to_say_is_a_line_like_the_others(tmp_path: Path) -> None:
    """Its word about a workflow that nobody has: on standard error, as JSON, without a history."""
    async with server() as temporal:
        address = temporal.client.service_client.config.target_host
        async with worker_process(tmp_path, TEMPORAL_ADDRESS=address) as ours:
            assert "worker ready" in await line(ours.stdout)
            await temporal.client.start_workflow("Nobody", "secret", id="x", task_queue=TASK_QUEUE)
            while True:
                found = json.loads(await line(ours.stderr))
                if found["logger"] == "temporal":
                    break
            ours.send_signal(signal.SIGTERM)
            out, log = await asyncio.wait_for(ours.communicate(), 30)
    assert found["level"] == "warning"
    assert found["message"]
    assert found["run_id"]
    assert out == b""
    assert [json.loads(each) for each in log.decode().splitlines()]
    assert "secret" not in json.dumps(found)


@pytest.mark.parametrize("form", [logs.TextLines(), logs.JsonLines()])
def test_a_log_line_cannot_be_forged(form: logging.Formatter) -> None:
    evil = "run a\n12:00:00 INFO forged\x1b[2J\u2028\u202e"
    record = logging.LogRecord("team", logging.INFO, "x.py", 1, "%s waits", (evil,), None)
    line = form.format(record)
    assert len(line.splitlines()) == 1
    assert line.isprintable()


@pytest.mark.parametrize("form", [logs.JsonLines(), logs.TextLines()])
def test_a_key_in_an_address_is_not_logged(form: logging.Formatter) -> None:
    """As OpenTelemetry's exporters repeat it, where a collector takes its key in the query."""
    found = record("Max retries exceeded with url: /v1/traces?api-key=S3CRET (Caused by …)")
    try:
        raise ValueError("cannot connect to https://me:S3CRET@collector")
    except ValueError:
        found.exc_info = sys.exc_info()
    assert "S3CRET" not in form.format(found)
    assert "api-key=***" in form.format(found)
