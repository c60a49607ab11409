"""While Temporal does not answer, standard output contains no warnings of the SDK."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from tests.cli.support import Starter, lines, new_id

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
