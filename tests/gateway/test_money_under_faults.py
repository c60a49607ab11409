"""Two gateway processes on one database, which are killed and frozen, and whose disk is full or
whose database is locked at random, against a model of the money in memory.

Each account has one client, which repeats whatever got no answer. So the model knows exactly what
every account has spent, although it does not know which of its requests arrived.
"""

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
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.gateway.client import Agent, Api, Reply, body, streamed
from tests.support.fuzzing import examples
from tests.support.gateway_process import GatewayProcess
from tests.support.memory_disk import memory_disk

LEASE_SECONDS = 1.5
PATIENCE_SECONDS = 4
"""For one answer: longer than a call and a lease."""
BUDGET = 4_000
BODIES = ("one", "another", "a third")


def usd(micro: int) -> str:
    return f"{micro // 10**6}.{micro % 10**6:06}"


def micro(amount: Any) -> int:
    return round(amount * 10**6)


@dataclass
class Provider:
    """Bills every request that it gets, whether its answer arrives or not."""

    chance: random.Random
    billed: Counter[str] = field(default_factory=Counter)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        key = request.headers["Idempotency-Key"]
        self.billed[key] += 1
        await asyncio.sleep(self.chance.choice([0, 0, 0.02, 0.2, 0.6]))
        ending = self.chance.random()
        if ending < 0.1:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if ending < 0.2:
            self.billed[key] -= 1
            return web.json_response({"error": {"message": "busy"}}, status=500)
        usage = {"prompt_tokens": 20, "completion_tokens": self.chance.randint(1, 10)}
        if not asked.get("stream"):
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


@asynccontextmanager
async def provider(chance: random.Random) -> AsyncIterator[tuple[Provider, str]]:
    found = Provider(chance)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", found.chat)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield found, f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@dataclass
class Faults:
    """What happens to the gateways, one thing after the other, until `stop`."""

    gateways: list[GatewayProcess]
    chance: random.Random
    seen: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self.chance.uniform(0.05, 0.6))
            gateway = self.chance.choice(self.gateways)
            fault = self.chance.choice([self.killed, self.frozen, self.full, self.locked])
            self.seen[fault.__name__] += 1
            await fault(gateway)

    async def killed(self, gateway: GatewayProcess) -> None:
        await gateway.end(signal.SIGKILL)
        await asyncio.sleep(self.chance.choice([0, 0.3]))
        await gateway.start()

    async def frozen(self, gateway: GatewayProcess) -> None:
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(self.chance.choice([0.2, LEASE_SECONDS + 0.5]))
        finally:
            gateway.process.send_signal(signal.SIGCONT)

    async def full(self, gateway: GatewayProcess) -> None:
        assert gateway.process is not None
        limits = (gateway.process.pid, resource.RLIMIT_FSIZE)
        most = resource.prlimit(*limits)[1]
        resource.prlimit(*limits, (1, most))
        try:
            await asyncio.sleep(self.chance.uniform(0, 0.6))
        finally:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(*limits, (most, most))

    async def locked(self, gateway: GatewayProcess) -> None:
        conn = sqlite3.connect(self.gateways[0].database, isolation_level=None, timeout=5)
        try:
            conn.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(self.chance.uniform(0, 0.5))
        finally:
            conn.close()


@dataclass
class Tool:
    amount: int
    state: str = "released"
    revision: int = 0


class Client:
    """One account's only client, and what it knows of the account. Amounts are micro-USD."""

    def __init__(self, urls: list[str], http: aiohttp.ClientSession, seed: str) -> None:
        self.chance = random.Random(seed)
        self.sides = [Api(url, http) for url in urls]
        self.agent = Agent(self.sides[0], "", "")
        self.name = seed
        self.budget = BUDGET
        self.revision = 0
        self.active = True
        self.paid: dict[str, int] = {}
        self.answers: dict[str, tuple[Any, str]] = {}
        self.tools: dict[str, Tool] = {}
        self.scopes: dict[str, Counter[str]] = {}
        self.did: Counter[str] = Counter()
        self.count = 0
        self.last = []

    @property
    def spent(self) -> int:
        tools = sum(each.amount for each in self.tools.values() if each.state == "settled")
        return sum(self.paid.values()) + tools

    @property
    def held(self) -> int:
        return sum(each.amount for each in self.tools.values() if each.state == "reserved")

    async def send(self, method: str, path: str, data: Any = None, **more: Any) -> Reply | None:
        """None without an answer, and for answers that say to try again."""
        api = self.chance.choice(self.sides)
        patience = self.chance.choice([0.15, PATIENCE_SECONDS])
        try:
            async with asyncio.timeout(patience):
                reply = await api.send(method, path, data, **more)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self.last.append(repr(error))
            return None
        if reply.status >= 500:
            self.last.append(reply.text)
            await asyncio.sleep(0.02)
            return None
        return reply

    async def until_answered(self, *request: Any, **more: Any) -> Reply:
        async with asyncio.timeout(90):
            while (reply := await self.send(*request, **more)) is None:
                pass
        return reply

    async def open(self) -> None:
        order = {"name": self.name, "budget": usd(BUDGET)}
        reply = await self.until_answered("POST", "/v1/agents", order, idempotency_key=self.name)
        assert reply.status == 201
        self.agent = Agent(self.sides[0], reply.json["id"], reply.json["api_key"])

    @property
    def path(self) -> str:
        return f"/v1/agents/{self.agent.id}"

    async def read(self) -> Any:
        return (await self.until_answered("GET", self.path)).json

    async def chat(self) -> None:
        self.count += 1
        key, sent = f"{self.name}-{self.count}", self.chance.choice([body, streamed])()
        chat = ("POST", "/v1/chat/completions", sent)
        reply = await self.until_paid(chat, key)
        if reply.status == 200:
            await self.remember(key, sent, reply)
        else:
            assert reply.status == 402, reply.text
            self.fits_not(reply)

    async def until_paid(self, chat: tuple[str, str, Any], key: str) -> Reply:
        """Streams that end in an error are repeated, too."""
        async with asyncio.timeout(90):
            while True:
                reply = await self.until_answered(*chat, key=self.agent.key, idempotency_key=key)
                if reply.status != 200 or not chat[2].get("stream"):
                    return reply
                if reply.events and reply.events[-1] == "[DONE]":
                    return reply

    async def remember(self, key: str, sent: Any, reply: Reply) -> None:
        assert key not in self.paid
        query = f"{self.path}/transactions?idempotency_key={key}"
        (line,) = (await self.until_answered("GET", query)).json["data"]
        if not sent.get("stream"):
            assert line["amount"] == reply.json["usage"]["cost"]
        self.paid[key] = micro(line["amount"])
        self.answers[key] = (sent, reply.text)

    def fits_not(self, reply: Reply) -> None:
        error = reply.error
        if not self.active:
            assert error["code"] == "account_disabled"
            return
        assert error["code"] == "budget_exhausted"
        assert error["remaining_usd"] < error["required_usd"]
        # What its own earlier requests still hold is less than what it has left.
        assert micro(error["remaining_usd"]) <= self.budget - self.spent - self.held

    async def replay(self) -> None:
        if not self.answers:
            return
        key = self.chance.choice(sorted(self.answers))
        sent, text = self.answers[key]
        changed = self.chance.random() < 0.3
        asked = {**sent, "temperature": 0.5} if changed else sent
        chat = ("POST", "/v1/chat/completions", asked)
        reply = await self.until_answered(*chat, key=self.agent.key, idempotency_key=key)
        if not self.active:
            assert (reply.status, reply.error["code"]) == (402, "account_disabled")
        elif text == "dropped":
            assert (reply.status, reply.error["code"]) == (410, "answer_dropped")
        elif changed:
            assert (reply.status, reply.error["code"]) == (409, "idempotency_conflict")
        else:
            assert (reply.status, reply.text) == (200, text)
            assert reply.headers["x-idempotent-replay"] == "true"

    async def scope(self) -> None:
        """An agent that starts again, as a new attempt, whenever a request gets no answer."""
        self.count += 1
        name = f"s{self.name}-{self.count}"
        wanted = Counter(self.chance.choice(BODIES) for _ in range(self.chance.randint(1, 4)))
        for attempt in range(1, 60):
            if await self.attempt(name, attempt, list(wanted.elements())):
                break
        else:
            raise AssertionError("no attempt was answered")
        query = f"{self.path}/transactions?scope={name}&limit=100"
        for line in (await self.until_answered("GET", query)).json["data"]:
            assert line["idempotency_key"] not in self.paid
            self.paid[line["idempotency_key"]] = micro(line["amount"])
            wanted[""] -= 1
        assert self.scope_ended_early or wanted.total() == 0, wanted
        assert wanted.total() >= 0, "paid more often than asked"

    scope_ended_early = False

    async def attempt(self, name: str, attempt: int, texts: list[str]) -> bool:
        path = f"/scopes/{name}/{attempt}/v1/chat/completions"
        for text in texts:
            reply = await self.send("POST", path, body(text), key=self.agent.key)
            if reply is None:
                return False
            if reply.status == 402:
                self.scope_ended_early = True
                return True
            assert reply.status == 200, reply.text
        self.scope_ended_early = False
        return True

    async def reserve(self) -> None:
        key = f"t{self.chance.randint(1, 6)}"
        tool = self.tools.setdefault(key, Tool(self.chance.randint(1, 900)))
        order = {"key": key, "amount_usd": usd(tool.amount), "what": "refund"}
        stale = tool.revision and self.chance.random() < 0.3
        if stale:
            await self.is_refused("POST", "/v1/charges", order, tool.revision)
            return
        reply = await self.fenced("/v1/charges", order, key)
        if reply is None or reply.status in (200, 201):
            if tool.state == "released":
                tool.state = "reserved"
        else:
            assert reply.status == 402, reply.text
            self.fits_not(reply)

    async def end(self) -> None:
        if not self.tools:
            return
        key = self.chance.choice(sorted(self.tools))
        tool, path = self.tools[key], f"/v1/charges/{key}"
        if not tool.revision:
            return
        if self.chance.random() < 0.5:
            reply = await self.until_answered("POST", f"{path}/settle", key=self.agent.key)
            if tool.state == "released":
                assert (reply.status, reply.error["code"]) == (409, "charge_released")
            else:
                assert (reply.status, reply.json["state"]) == (200, "settled")
                tool.state = "settled"
        elif tool.state == "settled":
            reply = await self.until_answered("POST", f"{path}/release", key=self.agent.key)
            assert (reply.status, reply.error["code"]) == (409, "charge_settled")
        elif self.chance.random() < 0.3:
            await self.is_refused("POST", f"{path}/release", None, tool.revision)
        else:
            reply = await self.fenced(f"{path}/release", None, key)
            assert reply is None or reply.status == 200, reply.text
            tool.state = "released"

    async def fenced(self, path: str, order: Any, key: str) -> Reply | None:
        """Sends it with the charge's revision until it is answered, or known to be carried out:
        then None. Whatever is still on its way must be refused later."""
        tool = self.tools[key]
        async with asyncio.timeout(90):
            while True:
                match = f'"{tool.revision}"'
                more = {"key": self.agent.key, "if_match": match}
                reply = await self.send("POST", path, order, **more)
                if reply is not None and reply.status != 412:
                    if reply.status in (200, 201):
                        assert reply.json["revision"] in (tool.revision, tool.revision + 1)
                        tool.revision = reply.json["revision"]
                    return reply
                found = await self.until_answered("GET", f"/v1/charges/{key}", key=self.agent.key)
                now = 0 if found.status == 404 else found.json["revision"]
                assert now in (tool.revision, tool.revision + 1)
                if now == tool.revision + 1:
                    tool.revision = now
                    return None
                assert reply is None, "refused, though nothing has changed"

    async def is_refused(self, method: str, path: str, data: Any, revision: int) -> None:
        key = None if path.startswith("/v1/agents") else self.agent.key
        stale = self.chance.choice([each for each in range(revision + 2) if each != revision])
        reply = await self.until_answered(method, path, data, key=key, if_match=f'"{stale}"')
        if path == "/v1/charges" and not self.active:
            assert reply.status == 402
        else:
            assert (reply.status, reply.error["code"]) == (412, "changed_since"), reply.text
            assert reply.error["revision"] == revision

    async def change(self) -> None:
        """A new limit, or the account is closed or opened again."""
        change: dict[str, Any] = {}
        if self.chance.random() < 0.5:
            change["budget"] = usd(self.chance.randint(0, 2 * BUDGET))
        else:
            change["status"] = "active" if not self.active else "disabled"
        if self.revision and self.chance.random() < 0.2:
            await self.is_refused("PATCH", self.path, change, self.revision)
            return
        async with asyncio.timeout(90):
            while True:
                match = f'"{self.revision}"'
                reply = await self.send("PATCH", self.path, change, if_match=match)
                if reply is not None and reply.status == 409:
                    assert reply.error["code"] == "budget_below_spent"
                    return
                now = (await self.read())["revision"]
                assert now in (self.revision, self.revision + 1)
                if now == self.revision + 1:
                    break
                assert reply is None, reply.text
        self.revision = now
        if "budget" in change:
            self.budget = round(float(change["budget"]) * 10**6)
            return
        self.active = change["status"] == "active"
        if not self.active:
            self.answers = {key: (sent, "dropped") for key, (sent, _) in self.answers.items()}
            for tool in self.tools.values():
                tool.state = "settled" if tool.state == "reserved" else tool.state

    async def act(self) -> None:
        acts = [self.chat, self.chat, self.replay, self.scope, self.reserve, self.reserve]
        act = self.chance.choice([*acts, self.end, self.end, self.change])
        if act == self.scope and not self.active:
            act = self.chat
        self.did[act.__name__] += 1
        await act()

    async def agrees(self) -> None:
        """Nothing is in flight: the account, its ledger and the model say the same."""
        account = await self.read()
        async with asyncio.timeout(30):
            while micro(account["reserved"]) != self.held:
                await asyncio.sleep(0.1)
                account = await self.read()
        assert micro(account["spent"]) == self.spent
        assert micro(account["budget"]) == self.budget
        assert account["revision"] == self.revision
        assert (account["status"] == "active") == self.active
        lines = (await self.until_answered("GET", f"{self.path}/transactions?limit=1000")).json
        told = Counter(
            (each.get("kind", "call"), each["idempotency_key"], micro(each["amount"]))
            for each in lines["data"]
        )
        known = Counter(("call", key, amount) for key, amount in self.paid.items())
        known += Counter(
            ("tool", key, tool.amount)
            for key, tool in self.tools.items()
            if tool.state == "settled"
        )
        assert told == known

    async def nothing_billed_is_missing(self, billed: Counter[str]) -> None:
        """Each request that the provider has billed is charged, or may have been billed."""
        query = f"{self.path}/transactions?kind=possibly_billed&limit=1000"
        lines = (await self.until_answered("GET", query)).json["data"]
        shown = Counter(each["idempotency_key"] for each in lines) + Counter(self.paid.keys())
        for upstream_key, times in billed.items():
            account, _, key = upstream_key.partition(":")
            if account == self.agent.id:
                assert times <= shown[key], (key, times, shown[key])


async def move(clients: list[Client], chance: random.Random, locks: dict[str, Any]) -> None:
    giver, taker = chance.sample(clients, 2)
    first, second = sorted((giver, taker), key=lambda each: each.name)
    async with locks[first.name], locks[second.name]:
        amount, key = chance.randint(1, BUDGET // 2), f"m{chance.random()}"
        order = {"from": giver.agent.id, "to": taker.agent.id, "amount": usd(amount)}
        for _ in range(chance.choice([1, 1, 2])):
            reply = await giver.until_answered("POST", "/v1/transfers", order, idempotency_key=key)
        if reply.status == 200:
            giver.budget -= amount
            taker.budget += amount
            giver.revision += 1
            taker.revision += 1
        else:
            assert reply.error["code"] in ("insufficient_funds", "account_disabled"), reply.text


async def _run(seed: str, actions: int) -> Counter[str]:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=memory_disk()) as folder:
        async with provider(chance) as (billing, url), aiohttp.ClientSession() as http:
            gateways = []
            for name in ("one", "two"):
                (home := Path(folder) / name).mkdir()
                gateways.append(
                    GatewayProcess(
                        url,
                        home,
                        gateway_database=Path(folder) / "one" / "gateway.db",
                        upstream_timeout_seconds=1,
                        gateway_lease_seconds=LEASE_SECONDS,
                        upstream_circuit_failures=0,
                    )
                )
            faults = Faults(gateways, chance)
            try:
                for gateway in gateways:
                    await gateway.start()
                urls = [each.url for each in gateways]
                clients = [Client(urls, http, f"{seed}-{n}") for n in range(4)]
                for client in clients:
                    await client.open()
                locks = {client.name: asyncio.Lock() for client in clients}

                async def work(client: Client) -> None:
                    for _ in range(actions):
                        async with locks[client.name]:
                            await client.act()
                        if client.chance.random() < 0.1:
                            await move(clients, client.chance, locks)

                breaking = asyncio.create_task(faults.run())
                try:
                    await asyncio.gather(*map(work, clients))
                finally:
                    breaking.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await breaking
                for gateway in gateways:
                    if gateway.process is None or gateway.process.returncode is not None:
                        await gateway.start()
                for client in clients:
                    await client.agrees()
                    await client.nothing_billed_is_missing(billing.billed)
                conn = sqlite3.connect(gateways[0].database)
                assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                conn.close()
                return sum((client.did for client in clients), faults.seen)
            finally:
                for gateway in gateways:
                    if gateway.process is not None:
                        await gateway.end(signal.SIGKILL)


@pytest.mark.parametrize("seed", range(max(1, examples(2) // 2)))
async def test_accounts_ledger_and_model_agree_whatever_happens(seed: int) -> None:
    did = await _run(f"seed {seed}".replace(" ", ""), 25)
    assert did["chat"]
