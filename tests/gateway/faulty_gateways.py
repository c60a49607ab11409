"""Two gateway processes on one database, in front of a provider that breaks off, and what happens
to them: they are killed, stopped and frozen, their disk is full, their database is locked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import resource
import signal
import sqlite3
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.support.gateway_process import GatewayProcess
from tests.support.memory_disk import memory_disk

LEASE_SECONDS = 1.5


@dataclass
class Provider:
    """Bills what it answers, whether the answer arrives or not; by idempotency key."""

    chance: random.Random
    billed: Counter[str] = field(default_factory=Counter)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        await asyncio.sleep(self.chance.choice([0, 0, 0.02, 0.2, 0.6]))
        ending = self.chance.random()
        if ending < 0.1:
            return web.json_response({"error": {"message": "busy"}}, status=500)
        self.billed[request.headers["Idempotency-Key"]] += 1
        if ending < 0.2 and request.transport is not None:
            request.transport.abort()
        with contextlib.suppress(ConnectionError):  # the gateway has died meanwhile
            return await self._answer(request, streams=bool(asked.get("stream")))
        return web.Response()

    async def _answer(self, request: web.Request, *, streams: bool) -> web.StreamResponse:
        usage = {"prompt_tokens": 20, "completion_tokens": self.chance.randint(1, 10)}
        if not streams:
            message = {"role": "assistant", "content": "hi"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return web.json_response({"choices": [choice], "usage": usage})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for reason in (None, None, "stop"):
            chunk = {"choices": [{"index": 0, "delta": {"content": "h"}, "finish_reason": reason}]}
            told = {"usage": usage} if reason else {}
            await response.write(f"data: {json.dumps({**chunk, **told})}\n\n".encode())
            await asyncio.sleep(self.chance.choice([0, 0.05]))
        await response.write(b"data: [DONE]\n\n")
        return response


@dataclass
class Faults:
    """One after the other, until `over`."""

    gateways: list[GatewayProcess]
    chance: random.Random
    seen: Counter[str] = field(default_factory=Counter)
    over: bool = False

    async def run(self) -> None:
        kinds = [self.killed, self.stopped, self.frozen, self.full, self.locked]
        while not self.over:
            await asyncio.sleep(self.chance.uniform(0.05, 0.6))
            fault = self.chance.choice(kinds)
            self.seen[fault.__name__] += 1
            await fault(self.chance.choice(self.gateways))

    async def killed(self, gateway: GatewayProcess) -> None:
        await gateway.end(signal.SIGKILL)
        await asyncio.sleep(self.chance.choice([0, 0.3]))
        await gateway.start()

    async def stopped(self, gateway: GatewayProcess) -> None:
        await gateway.end(signal.SIGTERM)
        await gateway.start()

    async def frozen(self, gateway: GatewayProcess) -> None:
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(self.chance.choice([0.2, LEASE_SECONDS + 0.5]))
        gateway.process.send_signal(signal.SIGCONT)

    async def full(self, gateway: GatewayProcess) -> None:
        assert gateway.process is not None
        limits = (gateway.process.pid, resource.RLIMIT_FSIZE)
        most = resource.prlimit(*limits)[1]
        resource.prlimit(*limits, (1, most))
        await asyncio.sleep(self.chance.uniform(0, 0.6))
        resource.prlimit(*limits, (most, most))

    async def locked(self, gateway: GatewayProcess) -> None:
        conn = sqlite3.connect(self.gateways[0].database, isolation_level=None, timeout=5)
        with contextlib.closing(conn):
            conn.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(self.chance.uniform(0, 0.5))


@asynccontextmanager
async def faulty_gateways(chance: random.Random) -> AsyncIterator[tuple[Faults, Provider]]:
    """Both are running. `faults.run` breaks them."""
    provider = Provider(chance)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", provider.chat)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    settings = {
        "upstream_timeout_seconds": 1,
        "gateway_lease_seconds": LEASE_SECONDS,
        "upstream_circuit_failures": 0,
        "gateway_shutdown_seconds": 0.3,
    }
    with tempfile.TemporaryDirectory(dir=memory_disk()) as folder:
        one = GatewayProcess(url, Path(folder), **settings)
        (other := Path(folder) / "other").mkdir()
        two = GatewayProcess(url, other, gateway_database=one.database, **settings)
        try:
            for gateway in (one, two):
                await gateway.start()
            yield Faults([one, two], chance), provider
        finally:
            for gateway in (one, two):
                if gateway.process is not None:
                    await gateway.end(signal.SIGKILL)
            await runner.cleanup()
