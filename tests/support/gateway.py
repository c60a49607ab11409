"""The real gateway, running in the process of the test."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durable_agent_team.gateway.gateway_settings import GatewaySettings
from durable_agent_team.gateway.server import Server
from tests.support.memory_disk import memory_disk

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
    environment: Mapping[str, str] | None = None,
    **settings: Any,
) -> AsyncIterator[RunningGateway]:
    """The gateway in this process. `settings` are fields of the gateway's `Settings`, `environment`
    has the keys of its upstreams."""
    with tempfile.TemporaryDirectory(dir=memory_disk()) as folder:
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
        given = GatewaySettings(_env_file=None, **values)
        server = Server(given, models=given.models(environment or {}))
        await server.start()
        try:
            yield RunningGateway(server.url, PARENT_KEY, database, server)
        finally:
            await server.stop()
