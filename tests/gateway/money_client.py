"""The only client of an account. It knows what the account has spent although its requests may get
no answer: it repeats them, with their keys and revisions, until it knows. Amounts are micro-USD."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.gateway.client import Agent, Api, Reply, body, streamed

PATIENCE_SECONDS = (0.15, 4)
"""For one answer: too little for many calls, or more than a call and a lease take."""
MOST_SECONDS = 90
BUDGET = 4_000
TEXTS = ("one", "another", "a third")
CHAT, CHARGES = "/v1/chat/completions", "/v1/charges"


def usd(amount: int) -> str:
    return f"{amount // 10**6}.{amount % 10**6:06}"


def micro(amount: Any) -> int:
    return int(amount * 10**6)


def code(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.error["code"]


@dataclass
class Tool:
    amount: int
    state: str = "released"
    revision: int = 0


class MoneyClient:
    def __init__(self, urls: list[str], http: aiohttp.ClientSession, name: str) -> None:
        self.chance = random.Random(name)
        self.sides = [Api(url, http) for url in urls]
        self.agent = Agent(self.sides[0], "", "")
        self.name = name
        self.budget = BUDGET
        self.revision = 0
        self.active = True
        self.paid: dict[str, int] = {}
        """By idempotency key."""
        self.answers: dict[str, tuple[Any, str | None]] = {}
        """What was sent under a key, and its answer; None once that was deleted."""
        self.tools: dict[str, Tool] = {}
        self.did: Counter[str] = Counter()

    @property
    def spent(self) -> int:
        tools = sum(each.amount for each in self.tools.values() if each.state == "settled")
        return sum(self.paid.values()) + tools

    @property
    def held(self) -> int:
        return sum(each.amount for each in self.tools.values() if each.state == "reserved")

    @property
    def path(self) -> str:
        return f"/v1/agents/{self.agent.id}"

    async def act(self) -> None:
        acts = [self.chat, self.chat, self.replay, self.reserve, self.reserve, self.end, self.end]
        act = self.chance.choice([*acts, self.change, *([self.scope] if self.active else [])])
        self.did[act.__name__] += 1
        await act()

    async def send(self, method: str, path: str, data: Any = None, **more: Any) -> Reply | None:
        """None without an answer, and for one that says to try again."""
        reply = None
        try:
            async with asyncio.timeout(self.chance.choice(PATIENCE_SECONDS)):
                reply = await self.chance.choice(self.sides).send(method, path, data, **more)
        except (TimeoutError, aiohttp.ClientError, OSError):
            pass
        if reply is not None and (reply.status < 500 or "usage" in reply.json):
            return reply  # an error with usage was charged
        await asyncio.sleep(0.02)
        return None

    async def until_answered(self, *request: Any, **more: Any) -> Reply:
        async with asyncio.timeout(MOST_SECONDS):
            while (reply := await self.send(*request, **more)) is None:
                pass
        return reply

    async def read(self, path: str = "") -> Any:
        return (await self.until_answered("GET", self.path + path)).json

    async def lines(self, query: str) -> list[Any]:
        found: list[Any] = (await self.read(f"/transactions?limit=1000&{query}"))["data"]
        return found

    async def open(self) -> None:
        order = {"name": self.name, "budget": usd(BUDGET)}
        reply = await self.until_answered("POST", "/v1/agents", order, idempotency_key=self.name)
        assert reply.status == 201
        self.agent = Agent(self.sides[0], reply.json["id"], reply.json["api_key"])

    async def chat(self) -> None:
        """One call, which sometimes comes twice at the same time."""
        key, sent = f"k{self.did.total()}", self.chance.choice([body, streamed])()
        times = self.chance.choice([1, 1, 2])
        reply, *same = await asyncio.gather(*(self.until_paid(sent, key) for _ in range(times)))
        if reply.status == 402:
            self.fits_not(reply)
            assert all(each.status in (402, 200) for each in same)
            reply = next((each for each in same if each.status == 200), reply)
        if reply.status != 402:
            assert all(each.text == reply.text for each in same if each.status == reply.status)
            (line,) = await self.lines(f"idempotency_key={key}")
            self.paid[key] = micro(line["amount"])
            self.answers[key] = (sent, reply.text if reply.status == 200 else None)
            if reply.status == 200 and not sent.get("stream"):
                assert line["amount"] == reply.json["usage"]["cost"]

    async def until_paid(self, sent: Any, key: str) -> Reply:
        """A stream that ends in an error is repeated, too."""
        more = {"key": self.agent.key, "idempotency_key": key}
        async with asyncio.timeout(MOST_SECONDS):
            while True:
                reply = await self.until_answered("POST", CHAT, sent, **more)
                is_whole = not sent.get("stream") or reply.text.endswith("[DONE]\n\n")
                if reply.status != 200 or is_whole:
                    return reply

    def fits_not(self, reply: Reply) -> None:
        assert reply.status == 402, reply.text
        error = reply.error
        if not self.active:
            assert error["code"] == "account_disabled"
            return
        assert error["code"] == "budget_exhausted"
        assert error["remaining_usd"] < error["required_usd"]
        # Requests that got no answer may still hold some of it.
        assert micro(error["remaining_usd"]) <= self.budget - self.spent - self.held

    async def replay(self) -> None:
        if not self.answers:
            return
        key = self.chance.choice(sorted(self.answers))
        sent, text = self.answers[key]
        changed = self.chance.random() < 0.3
        asked = {**sent, "temperature": 0.5} if changed else sent
        more = {"key": self.agent.key, "idempotency_key": key}
        reply = await self.until_answered("POST", CHAT, asked, **more)
        if not self.active:
            assert code(reply) == (402, "account_disabled")
        elif text is None:
            assert reply.status == 410 or "usage" in reply.json or changed
        elif changed:
            assert code(reply) == (409, "idempotency_conflict")
        else:
            assert (reply.status, reply.text) == (200, text)
            assert reply.headers["x-idempotent-replay"] == "true"

    async def scope(self) -> None:
        """An agent that starts again, as the next attempt, where a request got no answer."""
        name = f"s{self.did.total()}"
        texts = sorted(self.chance.choices(TEXTS, k=self.chance.randint(1, 4)))
        attempt, answered = 0, -1
        async with asyncio.timeout(MOST_SECONDS):
            while answered < 0:
                attempt += 1
                answered = await self.attempt(f"/scopes/{name}/{attempt}{CHAT}", texts)
        lines = await self.lines(f"scope={name}")
        assert len(lines) <= len(texts), "one charge at most for each that was asked"
        # A gateway that dies right after an answer has not kept its number: an equal one gets it.
        assert len(lines) >= len(set(texts[:answered]))
        for line in lines:
            assert line["idempotency_key"] not in self.paid
            self.paid[line["idempotency_key"]] = micro(line["amount"])

    async def attempt(self, path: str, texts: list[str]) -> int:
        """How many were answered before one did not fit; -1 where one got no answer."""
        for number, text in enumerate(texts):
            reply = await self.send("POST", path, body(text), key=self.agent.key)
            if reply is None:
                return -1
            if reply.status != 200:
                assert code(reply) == (402, "budget_exhausted"), reply.text
                return number
        return len(texts)

    async def reserve(self) -> None:
        key = f"t{self.chance.randint(1, 6)}"
        tool = self.tools.setdefault(key, Tool(self.chance.randint(1, 900)))
        order = {"key": key, "amount_usd": usd(tool.amount), "what": "refund"}
        if self.active and self.chance.random() < 0.3:
            await self.is_refused("POST", CHARGES, order, tool.revision, self.agent.key)
            return
        reply = await self.fenced(CHARGES, order, key)
        if reply is not None and reply.status not in (200, 201):
            self.fits_not(reply)
        elif tool.state == "released":
            tool.state = "reserved"

    async def end(self) -> None:
        known = sorted(key for key, tool in self.tools.items() if tool.revision)
        if not known:
            return
        key = self.chance.choice(known)
        tool, path = self.tools[key], f"{CHARGES}/{key}"
        if self.chance.random() < 0.5:
            reply = await self.until_answered("POST", f"{path}/settle", key=self.agent.key)
            if tool.state == "released":
                assert code(reply) == (409, "charge_released")
            else:
                assert (reply.status, reply.json["state"]) == (200, "settled")
                tool.state = "settled"
        elif tool.state == "settled":
            reply = await self.until_answered("POST", f"{path}/release", key=self.agent.key)
            assert code(reply) == (409, "charge_settled")
        elif self.chance.random() < 0.3:
            await self.is_refused("POST", f"{path}/release", None, tool.revision, self.agent.key)
        else:
            released = await self.fenced(f"{path}/release", None, key)
            assert released is None or released.status == 200, released.text
            tool.state = "released"

    async def fenced(self, path: str, order: Any, key: str) -> Reply | None:
        """Sent with the charge's revision until it is answered, or known to be carried out: then
        None. Those that are still on their way then must not be carried out any more."""
        tool = self.tools[key]
        more = {"key": self.agent.key, "if_match": f'"{tool.revision}"'}
        async with asyncio.timeout(MOST_SECONDS):
            while True:
                reply = await self.send("POST", path, order, **more)
                if reply is not None and reply.status != 412:
                    if reply.status in (200, 201):
                        assert reply.json["revision"] - tool.revision == (tool.state != "settled")
                        tool.revision = reply.json["revision"]
                    return reply
                read = f"{CHARGES}/{key}"
                found = await self.until_answered("GET", read, key=self.agent.key)
                now = 0 if found.status == 404 else found.json["revision"]
                assert now - tool.revision in ((0, 1) if reply is None else (1,))
                if now > tool.revision:
                    tool.revision = now
                    return None

    async def is_refused(
        self, method: str, path: str, data: Any, revision: int, key: str | None = None
    ) -> None:
        stale = self.chance.choice([each for each in range(revision + 2) if each != revision])
        reply = await self.until_answered(method, path, data, key=key, if_match=f'"{stale}"')
        assert code(reply) == (412, "changed_since"), reply.text
        assert reply.error["revision"] == revision

    async def change(self) -> None:
        """Another limit; or the account is closed, or opened again."""
        change: dict[str, Any] = {"status": "disabled" if self.active else "active"}
        budget = self.chance.randint(0, 2 * BUDGET)
        if is_limit := self.chance.random() < 0.5:
            change = {"budget": usd(budget)}
        if self.chance.random() < 0.2:
            await self.is_refused("PATCH", self.path, change, self.revision)
            return
        async with asyncio.timeout(MOST_SECONDS):
            now = self.revision
            while now == self.revision:
                match = f'"{self.revision}"'
                reply = await self.send("PATCH", self.path, change, if_match=match)
                if reply is not None and reply.status == 409:
                    assert code(reply) == (409, "budget_below_spent")
                    return
                now = (await self.read())["revision"]
                assert now - self.revision in ((0, 1) if reply is None else (1,))
        self.revision = now
        if is_limit:
            self.budget = budget
            return
        self.active = not self.active
        if not self.active:
            self.answers = {key: (sent, None) for key, (sent, _) in self.answers.items()}
            for tool in self.tools.values():
                tool.state = "settled" if tool.state == "reserved" else tool.state

    async def agrees(self, billed: Counter[str]) -> None:
        """Once nothing is in flight: the account, its ledger and this client say the same, and each
        request that the provider has billed was charged, or may have been billed."""
        account = await self.read()
        async with asyncio.timeout(30):
            while micro(account["reserved"]) != self.held:
                await asyncio.sleep(0.1)
                account = await self.read()
        assert micro(account["spent"]) == self.spent
        assert micro(account["budget"]) == self.budget
        assert self.spent + self.held <= self.budget
        assert account["revision"] == self.revision
        assert account["status"] == ("active" if self.active else "disabled")
        told = Counter(
            (line.get("kind", "call"), line["idempotency_key"], micro(line["amount"]))
            for line in await self.lines("")
        )
        known = {("call", key, amount): 1 for key, amount in self.paid.items()} | {
            ("tool", key, tool.amount): 1
            for key, tool in self.tools.items()
            if tool.state == "settled"
        }
        assert told == known
        shown = Counter(self.paid.keys())
        shown.update(line["idempotency_key"] for line in await self.lines("kind=possibly_billed"))
        for upstream_key, times in billed.items():
            account_id, _, key = upstream_key.partition(":")
            assert account_id != self.agent.id or times <= shown[key]
