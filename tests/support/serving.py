"""A small HTTP server on loopback for as long as a test needs it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

from aiohttp import web


@asynccontextmanager
async def listening(app: web.Application) -> AsyncIterator[str]:
    """Its URL, on a free port, without a slash at the end."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Served:
    """A server that answers at `url`, which ends in `/v1`, inside of `async with`."""

    url = ""

    def app(self) -> web.Application:
        """What it serves."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.url = f"{await stack.enter_async_context(listening(self.app()))}/v1"
            self._serving = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._serving.aclose()
