"""The real gateway as a process of its own, for tests that kill, freeze or restart it."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.gateway import PARENT_KEY, PRICES, SECRET, write_prices
from tests.support.memory_disk import memory_disk
from tests.support.ports import lasting_ports
from tests.support.warm.process import WarmProcess, start_warm


class GatewayProcess:
    """A gateway process with the same database and secrets each time it is started."""

    def __init__(self, upstream_url: str, folder: Path, **settings: Any) -> None:
        self.database = folder / "gateway.db"
        self.parent_key = PARENT_KEY
        self.url = ""
        self.process: WarmProcess | None = None
        self._log = folder / "gateway.log"
        given = {name.upper(): str(value) for name, value in settings.items()}
        self._environment = {
            "PATH": os.environ["PATH"],
            "GATEWAY_PORT": str(lasting_ports(1)[0]),  # later starts take the same one
            "GATEWAY_DATABASE": str(self.database),
            "GATEWAY_PARENT_KEY": PARENT_KEY,
            "GATEWAY_SECRET": SECRET,
            "GATEWAY_PRICES": str(write_prices(folder / "prices.toml", PRICES)),
            "UPSTREAM_URL": upstream_url,
            **given,
        }

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = await start_warm("gateway", self._environment, log)
        line = (await asyncio.wait_for(self.process.stdout.readline(), 60)).decode().strip()
        if not line.startswith("gateway ready on "):
            raise RuntimeError(f"the gateway did not start: {self.log}")
        self.url = line.removeprefix("gateway ready on ")

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def end(self, number: int) -> int:
        """Sends a signal (`signal.SIGKILL`) and waits for the exit status."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.process.wait()


@asynccontextmanager
async def gateway_process(upstream_url: str, **settings: Any) -> AsyncIterator[GatewayProcess]:
    """A gateway in a process of its own: for SIGKILL, SIGSTOP and SIGTERM."""
    with tempfile.TemporaryDirectory(dir=memory_disk()) as folder:
        gateway = GatewayProcess(upstream_url, Path(folder), **settings)
        await gateway.start()
        try:
            yield gateway
        finally:
            await gateway.end(signal.SIGKILL)
