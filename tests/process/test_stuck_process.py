"""A process that is stuck in C code ends: after SIGTERM, and by itself."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from durable_agent_team.process.project_root import PROJECT_ROOT

PROGRAM = """
import asyncio, re, signal, sys, uvloop
from durable_agent_team.process import stuck_process

stuck_process.KILL_MARGIN = 0.0

async def main(graceful, blocked, what):
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with stuck_process.ended_when_stuck(graceful, blocked):
        await asyncio.sleep(0.2)
        print("ready", flush=True)
        if what == "regex":
            re.search(r"(x+x+)+y", "x" * 60)
        await stop.wait()
        if what == "shutdown":
            await asyncio.sleep(60)

uvloop.run(main(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3]))
print("ended", flush=True)
"""


def started(graceful: float, blocked: float, what: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(graceful), str(blocked), what],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT_ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_process_that_is_stuck_in_a_regular_expression(number: int) -> None:
    process = started(1, 60, "regex")
    time.sleep(0.3)
    process.send_signal(number)
    _, log = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL
    assert "did not end within 1 s" in log


def test_a_signal_ends_a_process_whose_shutdown_does_not_end() -> None:
    process = started(1, 60, "shutdown")
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL
    assert "did not end within 1 s" in log


def test_a_process_whose_event_loop_is_blocked_exits_with_the_place() -> None:
    process = started(60, 2, "regex")
    _, log = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Timeout" in log
    assert "in main" in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_healthy_process_ends_by_itself_and_leaves_no_other(number: int) -> None:
    process = started(60, 60, "nothing")
    killers = children(process.pid)
    assert killers
    process.send_signal(number)
    out, log = process.communicate(timeout=20)
    assert (process.returncode, out, log) == (0, "ended\n", "")
    ends = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in killers) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in killers)


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
