"""The scripted upstream in a storm: answers according to the seed, and records every request."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from itertools import takewhile
from typing import Any, Final

from aiohttp import web

from tests.chaos.facts import Attempt
from tests.chaos.schedule import fate
from tests.support.upstream import Received, Rule, ScriptedUpstream
from tests.support.upstream_rules import answer

MARKER: Final = re.compile(r"\[\[([^\]]+)\]\]")
LONG = "This is what is known of it, in words enough to satisfy. " * 2
HEAVY = LONG * 540
"""About 60 KB."""
USAGE = {"prompt_tokens": 200, "completion_tokens": 100, "total_tokens": 300}
DOWN: Final = "down"

WORKED = frozenset(
    {"ok", "slow", "short", "late", "disconnect_middle", "malformed", "no_usage", "empty"}
    | {"no_choices", "overdue", "endless", "overdue_cut"}
)
"""Fates in which the upstream made an answer, whatever became of it then."""
WHOLE = WORKED - {"late", "endless", "disconnect_middle", "overdue_cut", "malformed", "empty"}

RULES: Final = {
    "ok": Rule(text=LONG),
    "slow": Rule(text=LONG),
    "late": Rule(text=LONG),
    "overdue": Rule(text=LONG),
    "endless": Rule(text=LONG),
    "overdue_cut": Rule(text=LONG, disconnect="middle"),
    "short": Rule(text="too short"),
    "error": Rule(status=503),
    "rate_limited": Rule(status=429, headers={"Retry-After": "1"}),
    "disconnect_before": Rule(disconnect="before"),
    "disconnect_middle": Rule(text=LONG, disconnect="middle"),
    "malformed": Rule(body='{"choices": [{"message": '),
    "no_usage": Rule(text=LONG, usage="missing"),
    "empty": Rule(choices=False, usage="missing"),
    "no_choices": Rule(choices=False),
    DOWN: Rule(status=503),
}
HEAVY_RULE: Final = Rule(text=HEAVY, usage=USAGE)


def key_of(gateway: str) -> str:
    """The key of this gateway for the upstream."""
    return f"asked-by-{gateway}"


def asking(authorization: str) -> str:
    """The gateway whose key this header has."""
    return authorization.removeprefix("Bearer ").removeprefix(key_of(""))


def holes(body: dict[str, Any]) -> Iterator[str]:
    """What a strict provider refuses: calls without a result right behind them, or with two."""
    messages = body.get("messages") or []
    for place, message in enumerate(messages):
        asked = [call["id"] for call in message.get("tool_calls") or []]
        following = takewhile(lambda each: each["role"] == "tool", messages[place + 1 :])
        given = [each["tool_call_id"] for each in following]
        if message["role"] != "tool" and asked != given:
            yield f"message {place} asks for {asked} and gets {given}"


class StormUpstream(ScriptedUpstream):
    """`attempts` has every request, the moment its fate is fulfilled."""

    def __init__(self, seed: int) -> None:
        super().__init__(recording=False)
        self.attempts: list[Attempt] = []
        self._seed = seed
        self._seen: Counter[str] = Counter()
        self._down = 0
        self.on_answer: Callable[[str], Awaitable[None]] | None = None
        """Called when an answer is written, with the name of the gateway that asked."""
        self.holes: list[str] = []
        """Conversations in which a call has no result, or more than one."""

    async def go_down(self, seconds: float) -> None:
        """Refuses every request for so long."""
        self._down += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._down -= 1

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        received = time.time()
        raw = await request.read()
        asked = Received.parse(raw, {k.lower(): v for k, v in request.headers.items()})
        found = MARKER.search(asked.text)
        marker = found.group(1) if found else "unmarked"
        by = asking(request.headers.get("Authorization", ""))
        if self._down:
            name, latency = DOWN, 0.01
        else:
            self._seen[marker] += 1
            name, latency = fate(self._seed, marker, self._seen[marker])
        self.in_flight += 1
        written = False
        try:
            await asyncio.sleep(latency)
            self.holes += [f"{marker}: {hole}" for hole in holes(asked.body)]
            heavy = name in ("ok", "slow", "late", "no_usage") and ".heavy" in marker
            rule = HEAVY_RULE if heavy else RULES[name]
            if asked.body.get("tools") and rule.text is not None:
                rule = replace(rule, obeys=True)
            response = await self._answer(request, rule, asked)
            written = True
            if self.on_answer is not None and name in WHOLE:
                await self.on_answer(by)
            return response
        finally:
            self.in_flight -= 1
            self.attempts.append(
                Attempt(
                    key=asked.idempotency_key or "",
                    marker=marker,
                    fate=name,
                    received=received,
                    ended=time.time(),
                    worked=name in WORKED,
                    whole=written and name in WHOLE,
                    by=by,
                )
            )

    async def _answer(
        self, request: web.Request, rule: Rule, asked: Received
    ) -> web.StreamResponse:
        """Written in full here, so that a client's disconnection is noticed."""
        if rule.disconnect:
            return await self._respond(request, rule, asked)
        response = web.Response(
            status=rule.status,
            body=answer(rule, asked),
            headers={"Content-Type": "application/json", **rule.headers},
        )
        await response.prepare(request)
        await response.write_eof()
        return response
