"""The local stack as a process of its own, with a scripted upstream in the model's place."""

import asyncio
import os
import pty
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.process.stack_state import StackInfo, Started, read_running

PORTS = {"TEMPORAL_PORT": "0", "TEMPORAL_UI_PORT": "0", "GATEWAY_PORT": "0"}


async def start(folder: Path, terminal: int | None = None) -> Process:
    # Nothing is called here, so that any address will do.
    env = {**PORTS, "DATA_DIR": str(folder), "UPSTREAM_URL": "http://127.0.0.1:9/v1"}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "durable_agent_team.local_stack",
        stdin=terminal,
        stdout=PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **env},
        cwd=PROJECT_ROOT,
        start_new_session=True,
    )


async def until(stack: Process, text: str) -> str:
    """What the stack says, up to a line that holds the text."""
    said = ""
    assert stack.stdout is not None
    async with asyncio.timeout(60):
        while text not in said:
            line = await stack.stdout.readline()
            assert line, f"it ended after:\n{said}"
            said += line.decode()
    return said


def running(folder: Path) -> StackInfo:
    info = read_running(folder)
    assert info is not None
    return info


def files(folder: Path) -> tuple[set[str], set[str]]:
    """The names of those that only their owner can read, and of all others."""
    found = [each for each in folder.rglob("*") if each.is_file()]
    private = {each.name for each in found if not each.stat().st_mode & 0o077}
    return private, {each.name for each in found} - private


async def gone(processes: dict[str, Started]) -> None:
    async with asyncio.timeout(30):
        while any(process.alive() for process in processes.values()):
            await asyncio.sleep(0.05)


async def end(stack: Process, folder: Path) -> None:
    """Whatever became of the test: nothing is left behind."""
    if stack.returncode is None:
        stack.terminate()
        await asyncio.wait_for(stack.communicate(), 60)
    assert read_running(folder) is None


async def test_one_life_of_a_stack(tmp_path: Path) -> None:
    stack = await start(tmp_path)
    try:
        said = await until(stack, "Ctrl-C")
        info = running(tmp_path)
        for text in (info.temporal_address, info.ui_url, info.gateway_url, "worker ready"):
            assert text in said
        assert {"SEALING_KEY", "ATXP_API_KEY", "TEMPORAL_ADDRESS"} <= set(info.env)

        second = await start(tmp_path)
        assert "is up already" in (await second.communicate())[0].decode()
        assert second.returncode == 0

        private, others = files(tmp_path)
        assert {"temporal.db", "gateway.db", "worker.log", "local.env"} <= private
        assert others <= {"stack.json", "stack.lock"}, "which hold no content"

        first = info.worker_pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(stack, "worker was killed by signal 9; starting it again at once")
        async with asyncio.timeout(30):
            while info.worker_pid in (None, first):
                await asyncio.sleep(0.05)

        processes = running(tmp_path).processes
        stack.send_signal(signal.SIGHUP)
        assert await asyncio.wait_for(stack.wait(), 60) == 0
        await gone(processes)
    finally:
        await end(stack, tmp_path)


async def test_what_a_killed_stack_left_is_ended_by_the_next(tmp_path: Path) -> None:
    stack = await start(tmp_path)
    await until(stack, "Ctrl-C")
    left = running(tmp_path).processes
    stack.kill()
    await stack.communicate()
    assert all(process.alive() for process in left.values())
    again = await start(tmp_path)
    try:
        said = await until(again, "ended what a killed stack had left running")
        assert all(name in said for name in ("temporal", "gateway", "worker"))
        await gone(left)
        # Ended while it comes up: nothing of the half-started one stays either.
        again.send_signal(signal.SIGINT)
        await asyncio.wait_for(again.communicate(), 60)
    finally:
        await end(again, tmp_path)


async def test_a_closed_terminal_ends_it_even_where_no_signal_comes(tmp_path: Path) -> None:
    # SIGHUP goes to a session's leader, which may be `make`: here nobody gets it.
    ours, its = pty.openpty()
    stack = await start(tmp_path, its)
    os.close(its)
    try:
        await until(stack, "Ctrl-C")
        processes = running(tmp_path).processes
        os.close(ours)
        assert "the terminal is gone" in await until(stack, "stopping")
        assert await asyncio.wait_for(stack.wait(), 60) == 0
        await gone(processes)
    finally:
        await end(stack, tmp_path)
