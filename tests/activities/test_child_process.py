"""Processes are started, read and ended alike on every event loop."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop

from activities.child_process import ChildProcess
from durable_agent_team.process.project_root import PROJECT_ROOT

ECHO = "import sys; [print(line.strip()[::-1], flush=True) for line in sys.stdin]; print('end')"
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
Run = Callable[[Awaitable[Any]], Any]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on one of the loops, for ten seconds at most."""

    def on_loop(work: Awaitable[Any]) -> Any:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(asyncio.wait_for(work, 10))

    return on_loop


def python(code: str, **options: Any) -> ChildProcess:
    return ChildProcess((sys.executable, "-I", "-S", "-c", code), {}, **options)


def test_its_pipes_carry_both_ways_and_end_with_it(run: Run) -> None:
    async def talks() -> tuple[list[bytes], bytes, int]:
        process = python(ECHO, stdin=subprocess.PIPE, output=subprocess.PIPE)
        stdin, stdout, stderr = await process.pipes()
        lines = []
        for text in (b"abc\n", b"def\n"):
            stdin.write(text)
            await stdin.drain()
            lines.append(await stdout.readline())
        assert process.returncode is None
        stdin.close()
        rest = await stdout.read() + await stderr.read()
        code = await process.wait()
        process.close_pipes()
        return lines, rest, code

    assert run(talks()) == ([b"cba\n", b"fed\n"], b"end\n", 0)


def test_more_than_a_pipe_holds_waits_for_its_reader(run: Run) -> None:
    sent = b"x" * 3_000_000 + b"\n"

    async def sends() -> bytes:
        process = python(ECHO, stdin=subprocess.PIPE, output=subprocess.PIPE)
        stdin, stdout, _ = await process.pipes()
        stdin.write(sent)
        draining = asyncio.create_task(stdin.drain())
        read = b""
        while len(read) < len(sent):
            read += await stdout.read(65_536)
        await draining
        process.kill()
        await process.wait()
        process.close_pipes()
        return read

    assert run(sends()) == sent


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_is_ended_and_a_second_time_does_nothing(run: Run, number: signal.Signals) -> None:
    async def ends() -> int:
        process = python("import time; time.sleep(60)")
        end = process.terminate if number is signal.SIGTERM else process.kill
        end()
        code = await process.wait()
        end()
        assert process.returncode == code
        with pytest.raises(ProcessLookupError):  # it is reaped
            os.kill(process.pid, 0)
        return code

    assert run(ends()) == -number


def test_what_cannot_be_started_is_an_error(run: Run) -> None:
    async def starts() -> None:
        ChildProcess(("/no/such/program",), {})

    with pytest.raises(FileNotFoundError):
        run(starts())


def test_it_inherits_its_environment_and_what_is_passed_alone(run: Run) -> None:
    async def looks() -> list[str]:
        reading, writing = os.pipe()
        os.set_inheritable(reading, True)
        code = "import os; print(sorted(os.environ), os.listdir('/proc/self/fd'), os.getcwd())"
        process = ChildProcess(
            (sys.executable, "-I", "-S", "-c", code),
            {"ONE": "1", "LC_CTYPE": "C.UTF-8"},
            stdin=subprocess.PIPE,
            output=subprocess.PIPE,
            pass_fds=(writing,),
        )
        _, stdout, _ = await process.pipes()
        text = (await stdout.read()).decode()
        await process.wait()
        process.close_pipes()
        os.close(reading)
        os.close(writing)
        assert f"'{writing}'" in text
        assert f"'{reading}'" not in text
        return text.split()

    seen = run(looks())
    assert seen[:2] == ["['LC_CTYPE',", "'ONE']"]
    assert seen[-1] == "/"


def test_it_outlives_the_loop_without_a_trace(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    started: list[ChildProcess] = []

    async def leaves() -> None:
        started.append(python("import time; time.sleep(60)"))

    run(leaves())
    [process] = started
    waiting = [each for each in threading.enumerate() if each.name == f"child-{process.pid}"]
    process.kill()
    for thread in waiting:
        thread.join(10)
    assert process.returncode == -signal.SIGKILL
    assert not capfd.readouterr().err


def test_nothing_of_the_worker_starts_a_process_by_its_loop() -> None:
    """On uvloop that would fork: docs/adr/060."""
    sources = [PROJECT_ROOT / "worker.py", *(PROJECT_ROOT / "activities").rglob("*.py")]
    for package in ("process", "worker_sdk", "atxp", "blobs", "payloads"):
        sources += (PROJECT_ROOT / "durable_agent_team" / package).rglob("*.py")
    for source in sources:
        text = source.read_text()
        for name in ("create_subprocess", "subprocess_exec(", "subprocess_shell(", "open_process"):
            assert name not in text, f"{source.relative_to(PROJECT_ROOT)}: {name}"
