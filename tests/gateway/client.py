"""A small HTTP client for the gateway's tests. It shares no code with the project's own client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp

from tests.support.gateway import PARENT_KEY, RunningGateway, running_gateway
from tests.support.upstream import Rule, ScriptedUpstream


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body with amounts as Decimal, exactly as printed."""
        return json.loads(self.text, parse_float=Decimal)

    @property
    def error(self) -> Any:
        return self.json["error"]

    @property
    def events(self) -> list[Any]:
        """Of a stream: the parsed `data:` lines; `[DONE]` as text."""
        return events_of(self.text)

    @property
    def content(self) -> str:
        """Of a stream: the text of all its chunks."""
        return content_of(self.events)


def error_of(reply: Reply) -> Any:
    """The error with its status, of a plain answer or at the end of a stream."""
    if reply.headers["content-type"].startswith("text/event-stream"):
        return reply.events[-1]["error"]
    return {**reply.error, "status": reply.status}


def events_of(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line, parse_float=Decimal) for line in lines]


def content_of(events: list[Any]) -> str:
    chunks = [event for event in events if isinstance(event, dict)]
    choices = [choice for chunk in chunks for choice in chunk.get("choices", [])]
    return "".join(choice.get("delta", {}).get("content") or "" for choice in choices)


def streamed(text: str = "hello", *, usage: bool = False, **more: Any) -> dict[str, Any]:
    """The body of a streamed call; with `usage`, it requests the chunk with the usage, too."""
    if usage:
        more["stream_options"] = {"include_usage": True}
    return body(text, stream=True, **more)


def body(text: str = "hello", max_tokens: int | None = 10, **more: Any) -> dict[str, Any]:
    values = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
    return values if max_tokens is None else {**values, "max_tokens": max_tokens}


def bound(sent: dict[str, Any], out: int = 10) -> int:
    """The upper bound for model `m` (prices 1 in, 2 out), computed from the documented rule."""
    written = json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode()
    return len(written) + 16 * len(sent["messages"]) + 64 + 2 * out


@dataclass
class Api:
    url: str
    http: aiohttp.ClientSession
    key: str = PARENT_KEY
    ids: dict[str, str] = field(default_factory=dict)

    async def send(
        self,
        method: str,
        path: str,
        data: Any = None,
        *,
        key: str | None = None,
        idempotency_key: str | None = None,
        if_match: str | None = None,
        raw: bytes | None = None,
    ) -> Reply:
        headers = {"Content-Type": "application/json"}
        if key != "":
            headers["Authorization"] = f"Bearer {key or self.key}"
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        if if_match is not None:
            headers["If-Match"] = if_match
        payload = raw if raw is not None else (None if data is None else json.dumps(data))
        async with self.http.request(
            method, self.url + path, data=payload, headers=headers
        ) as response:
            lower = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status, lower, await response.text())

    async def open(self, budget: float | str = 1, name: str = "agent") -> Agent:
        reply = await self.send("POST", "/v1/agents", {"name": name, "budget": budget})
        assert reply.status == 201, reply.text
        return Agent(self, reply.json["id"], reply.json["api_key"])


@dataclass
class Agent:
    api: Api
    id: str
    key: str

    async def chat(
        self, sent: dict[str, Any] | None = None, key: str | None = None, **more: Any
    ) -> Reply:
        return await self.api.send(
            "POST",
            "/v1/chat/completions",
            sent if sent is not None else body(),
            key=self.key,
            idempotency_key=key,
            **more,
        )

    def stream(
        self,
        sent: dict[str, Any] | None = None,
        key: str | None = None,
        door: str = "chat/completions",
    ) -> aiohttp.client._RequestContextManager:
        """A streamed call to read chunk by chunk or to leave: `async with agent.stream() as s`."""
        headers = {"Authorization": f"Bearer {self.key}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        url = f"{self.api.url}/v1/{door}"
        return self.api.http.post(url, json=sent or streamed(), headers=headers)

    async def account(self) -> Any:
        reply = await self.api.send("GET", f"/v1/agents/{self.id}")
        assert reply.status == 200, reply.text
        return reply.json

    async def patch(self, **changes: Any) -> Reply:
        return await self.api.send("PATCH", f"/v1/agents/{self.id}", changes)

    async def ledger(self, query: str = "") -> list[Any]:
        reply = await self.api.send("GET", f"/v1/agents/{self.id}/transactions{query}")
        assert reply.status == 200, reply.text
        lines: list[Any] = reply.json["data"]
        return lines

    async def until_reserved(self, reserved: bool = True) -> None:
        async with asyncio.timeout(30):
            while bool((await self.account())["reserved"]) != reserved:
                await asyncio.sleep(0.01)


@dataclass
class World:
    """A gateway, its scripted upstream and a client."""

    api: Api
    upstream: ScriptedUpstream
    gateway: RunningGateway


@asynccontextmanager
async def world(*rules: Rule, **settings: Any) -> AsyncIterator[World]:
    async with (
        ScriptedUpstream(rules) as upstream,
        running_gateway(upstream.url, **settings) as gateway,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
    ):
        yield World(Api(gateway.url, http), upstream, gateway)
