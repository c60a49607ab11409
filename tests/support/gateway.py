"""The real gateway for tests: in this process, or as one that can be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durable_agent_team.gateway.gateway_settings import GatewaySettings
from durable_agent_team.gateway.server import Server

PARENT_KEY = "parent-key-of-the-tests-0123456789"
SECRET = "secret-of-the-tests-0123456789-0123456789"
Entries = Mapping[str, Mapping[str, Any]]

PRICES: Entries = {
    "smollm2-135m": {
        "input_usd_per_million": "0.50",
        "output_usd_per_million": "2.00",
        "context_tokens": 8192,
    },
    "m": {"input_usd_per_million": "1", "output_usd_per_million": "2"},
}
"""`m`: one micro-dollar a token in, two out, so that tests can count."""


def write_prices(path: Path, entries: Entries) -> Path:
    """A price file. Values are written as TOML: texts that are numbers stay exact."""
    lines = []
    for model, entry in entries.items():
        lines.append(f'[models."{model}"]')
        for name, value in entry.items():
            numeric = isinstance(value, int | float) or name.startswith(("input", "output"))
            lines.append(f"{name} = {value if numeric else repr(value)}")
    path.write_text("\n".join(lines) + "\n")
    return path


@dataclass(frozen=True)
class RunningGateway:
    """`url` is the server's root, `base_url` what an OpenAI client wants."""

    url: str
    parent_key: str
    database: Path
    server: Server

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"


@asynccontextmanager
async def running_gateway(
    upstream_url: str,
    *,
    prices: Entries | None = None,
    database: Path | None = None,
    **settings: Any,
) -> AsyncIterator[RunningGateway]:
    """The gateway in this process. `settings` are fields of the gateway's `Settings`."""
    with tempfile.TemporaryDirectory() as folder:
        database = database or Path(folder) / "gateway.db"
        path = write_prices(Path(folder) / "prices.toml", prices or PRICES)
        values: dict[str, Any] = {
            "gateway_port": 0,
            "gateway_database": database,
            "gateway_parent_key": PARENT_KEY,
            "gateway_secret": SECRET,
            "gateway_prices": path,
            "upstream_url": upstream_url,
            **settings,
        }
        server = Server(GatewaySettings(_env_file=None, **values))
        await server.start()
        try:
            yield RunningGateway(server.url, PARENT_KEY, database, server)
        finally:
            await server.stop()


class GatewayProcess:
    """A gateway process with the same database and secrets each time it is started."""

    def __init__(self, upstream_url: str, folder: Path, **settings: Any) -> None:
        self.database = folder / "gateway.db"
        self.parent_key = PARENT_KEY
        self.url = ""
        self.process: asyncio.subprocess.Process | None = None
        self._log = folder / "gateway.log"
        given = {name.upper(): str(value) for name, value in settings.items()}
        self._environment = {
            "PATH": os.environ["PATH"],
            "GATEWAY_PORT": "0",
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
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "durable_agent_team.gateway"),
                env=self._environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        line = (await asyncio.wait_for(self.process.stdout.readline(), 60)).decode().strip()
        if not line.startswith("gateway ready on "):
            raise RuntimeError(f"the gateway did not start: {self.log}")
        self.url = line.removeprefix("gateway ready on ")
        # Later starts take the same port, as a supervised gateway would.
        self._environment["GATEWAY_PORT"] = self.url.rpartition(":")[2]

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
    with tempfile.TemporaryDirectory() as folder:
        gateway = GatewayProcess(upstream_url, Path(folder), **settings)
        await gateway.start()
        try:
            yield gateway
        finally:
            await gateway.end(signal.SIGKILL)
