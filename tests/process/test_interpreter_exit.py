"""The one exit, logs, telemetry's switch, and a Temporal that is not there."""

import json
import logging
import os
import subprocess
import sys
import time

import pytest
from pydantic import BaseModel

from durable_agent_team.client.connection import ServiceUnavailable, connect
from durable_agent_team.process import logs
from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.process.settings import ClientSettings
from durable_agent_team.providers.otel_variables import wanted


def python(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=PROJECT_ROOT,
        timeout=30,
        check=False,
        env={k: v for k, v in {**os.environ, **environ}.items() if k != "PYTHONUNBUFFERED"},
    )


@pytest.mark.parametrize("code", [0, 1, 2, 3, 130])
def test_what_was_written_is_out_before_the_process_is_gone(code: int) -> None:
    ended = python(
        "import sys; from durable_agent_team.process.interpreter_exit import exit_process\n"
        f"sys.stdout.write('out'); sys.stderr.write('err'); exit_process({code})"
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "out", "err")


def test_a_closed_output_does_not_crash() -> None:
    ended = python(
        "import os, sys; from durable_agent_team.process.interpreter_exit import exit_process\n"
        "r, w = os.pipe(); os.close(r); os.dup2(w, 1)\nsys.stdout.write('x'); exit_process(0)"
    )
    assert (ended.returncode, ended.stderr) == (141, "")


FOREIGN_THREAD = """
import asyncio, ctypes, os, sys, time
from durable_agent_team.client.connection import ServiceUnavailable, connect
from durable_agent_team.process.settings import ClientSettings

@ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
def inside(_):
    os.write(1, b"in ")
    time.sleep(0.5)  # without the interpreter's lock, as a write to a socket is
    os.write(1, b"and out again")

async def main():
    try:
        await connect(ClientSettings(temporal_address="127.0.0.1:1"))
    except ServiceUnavailable:
        pass

asyncio.run(main())
thread = ctypes.c_ulong()
ctypes.CDLL(None).pthread_create(ctypes.byref(thread), None, inside, None)
while not any(frame.f_code.co_name == "inside" for frame in sys._current_frames().values()):
    time.sleep(0.01)
sys.exit(7)
"""


def test_a_program_that_connected_is_not_torn_down_under_a_thread_of_the_sdk() -> None:
    """temporalio/sdk-python#300: such a thread aborts the process when it comes back."""
    ended = python(FOREIGN_THREAD, SDK_PATCHES="settle_at_exit")
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, "in and out again", "")


def test_with_the_patch_switched_off_nothing_waits_for_such_a_thread() -> None:
    assert python(FOREIGN_THREAD, SDK_PATCHES="none").stdout == "in "


async def test_no_temporal_is_reported_within_five_seconds() -> None:
    started = time.monotonic()
    with pytest.raises(ServiceUnavailable) as caught:
        await connect(ClientSettings(temporal_address="127.0.0.1:1"))
    assert time.monotonic() - started < 15, "five, and a busy machine"
    assert "127.0.0.1:1" in str(caught.value)
    assert "make up" in str(caught.value)
    assert not caught.value.final


@pytest.mark.parametrize(
    ("values", "is_on"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_telemetry_is_on_only_when_enabled(values: dict[str, str], is_on: bool) -> None:
    assert wanted(values) is is_on


def test_without_telemetry_none_of_it_is_loaded() -> None:
    ended = python(
        "import sys, durable_agent_team.client.connection\n"
        "from durable_agent_team.process import telemetry\n"
        "assert telemetry.plugins() == []\n"
        "assert not any(m.startswith('opentelemetry.sdk') for m in sys.modules)"
    )
    assert ended.returncode == 0, ended.stderr


class Prompt(BaseModel):
    text: int


def test_a_log_line_is_one_json_object_without_what_was_put_in() -> None:
    try:
        Prompt.model_validate({"text": "the secret plan"})
    except ValueError:
        record = logging.LogRecord("a", 40, "f", 1, "went\nwrong", (), sys.exc_info())
    record.temporal_activity = {"workflow_id": "w", "attempt": 2, "input": "the secret plan"}
    text = logs.JsonLines().format(record)
    line = json.loads(text)
    assert "\n" not in text
    assert "secret" not in text
    assert line["error"]["type"] == "ValidationError"
    assert (line["workflow_id"], line["attempt"]) == ("w", 2)
