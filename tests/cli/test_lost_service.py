"""While Temporal does not answer, standard output contains no warnings of the SDK, and the error
says what is known of the reason."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from durable_agent_team.cli.command_client import _client_errors
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.client.connection import ServiceUnavailable
from durable_agent_team.client.run_control import ANSWER_TIMEOUT, BUSY_TIMEOUT, RunControl
from durable_agent_team.local_stack.stack_plan import write_private
from durable_agent_team.process.stack_state import (
    LOCAL_ENV,
    StackInfo,
    this_process,
    write_state,
)
from tests.cli.support import Starter, lines, new_id
from tests.support.fakes import FakeWorld

RETRIES_SECONDS = 8.0
"""After five attempts, some four seconds, the SDK would write a warning."""


async def test_json_lines_stay_json_while_temporal_is_away(starter: Starter) -> None:
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0  # there is no worker
    async with forwarded(starter.address) as (address, cut):
        watch = await starter.begin("watch", run, "--json", TEMPORAL_ADDRESS=address)
        assert watch.stderr is not None
        said = [await asyncio.wait_for(watch.stderr.readline(), 30)]
        assert b"no worker answers" in said[0]
        await cut()
        await asyncio.sleep(RETRIES_SECONDS)
        watch.send_signal(signal.SIGINT)
        ended = await starter.end(watch)
    assert ended.code == 130
    assert "Temporal does not answer; waiting for it" in ended.err
    assert lines(ended.out) == []
    assert "WARN" not in ended.err


@asynccontextmanager
async def forwarded(target: str) -> AsyncIterator[tuple[str, Callable[[], Awaitable[None]]]]:
    """A port that is forwarded to the server until it is closed."""
    host, _, port = target.rpartition(":")
    open_ones: set[asyncio.StreamWriter] = set()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        open_ones.update((writer, back))
        await asyncio.gather(_copy(reader, back), _copy(there, writer))

    server = await asyncio.start_server(lead, "127.0.0.1", 0)

    async def cut() -> None:
        server.close()
        for each in open_ones:
            each.transport.abort()

    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", cut
    finally:
        await cut()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.mark.parametrize(("free", "is_named"), [(10, True), (5_000, False)])
@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_full_disk_of_the_local_stack_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, is_named: bool, elsewhere: bool
) -> None:
    """Its Temporal waits for room, and answers nothing; another one has a disk of its own."""
    stacks, other = "127.0.0.1:9", "127.0.0.1:10"
    write_private(tmp_path / LOCAL_ENV, {"TEMPORAL_ADDRESS": stacks})
    write_state(StackInfo(tmp_path, stacks, "", "", this_process(), ready=True))
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    for name in ("ATXP_API_URL", "ATXP_LLM_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEMPORAL_ADDRESS", other if elsewhere else stacks)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free * 1024**2))

    with pytest.raises(CommandError) as ended, _client_errors():
        raise ServiceUnavailable("Temporal does not answer")
    assert ended.value.code == ExitCode.NO_ANSWER
    assert ("10 MB are left on the disk" in str(ended.value)) == (is_named and not elsewhere)


class _Late:
    """Asks a run whose worker is busy: the first time, no answer comes in time."""

    def __init__(self, starter: Starter, *, works: bool) -> None:
        self.starter, self.works = starter, works
        self.timeouts: list[timedelta] = []

    async def __call__(self, timeout: timedelta) -> str:
        self.timeouts.append(timeout)
        if len(self.timeouts) > 1:
            return "answer"
        if self.works:  # on something else
            await self.starter("start", self.starter.team(), "--id", new_id())
        raise TimeoutError


async def test_a_worker_that_is_busy_gets_more_time(
    starter: Starter, client: Client, world: FakeWorld
) -> None:
    """One of a machine with a load of 20 answered after seven seconds."""
    asking, control = _Late(starter, works=True), RunControl(client, new_id())
    assert await control._patiently(asking) == "answer"
    assert asking.timeouts == [ANSWER_TIMEOUT, BUSY_TIMEOUT]


async def test_one_that_is_not_there_gets_no_more_time(starter: Starter, client: Client) -> None:
    asking, control = _Late(starter, works=False), RunControl(client, new_id())
    with pytest.raises(TimeoutError):
        await control._patiently(asking)
    assert asking.timeouts == [ANSWER_TIMEOUT]


async def test_what_is_said_of_a_service_that_may_be_busy(starter: Starter) -> None:
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0  # there is no worker
    for command in (["state", run], ["retry", run, "facts"]):
        ended = await starter(*command)
        assert ended.code == 3
        assert "in time" in ended.err
        assert "one that is busy answers later: try again" in ended.err
