"""A gateway that makes the mistakes which `python -m conformance` looks for.

It speaks the account API of ours. Its books are in memory, it charges after the answer, believes
any usage, knows no idempotency keys, and passes a broken stream on as a complete one.
"""

import contextlib
import json
import sys
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import aiohttp
from aiohttp import web

PRICES = {"conformance": (Decimal(1), Decimal(2))}


@dataclass
class Account:
    budget: Decimal
    spent: Decimal = Decimal(0)


class BadGateway:
    def __init__(self, upstream_url: str) -> None:
        self._upstream = f"{upstream_url}/chat/completions"
        self._accounts: dict[str, Account] = {}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/healthz", self._ready)
        app.router.add_post("/v1/agents", self._open)
        app.router.add_get("/v1/agents/{id}", self._read)
        app.router.add_patch("/v1/agents/{id}", self._read)  # a disabled account stays as it is
        app.router.add_post("/v1/chat/completions", self._chat)
        return app

    async def _ready(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _open(self, request: web.Request) -> web.Response:
        """The key contains the budget, so that a restart forgets nothing but what was spent."""
        key = f"{uuid.uuid4().hex}:{(await request.json())['budget']}"
        return web.json_response({"id": key, "api_key": key}, status=201)

    async def _read(self, request: web.Request) -> web.Response:
        account = self._account(request.match_info["id"])
        return web.json_response({"spent": str(account.spent), "reserved": "0"})

    def _account(self, key: str) -> Account:
        budget = Decimal(key.rpartition(":")[2].rstrip("x"))
        return self._accounts.setdefault(key, Account(budget))

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        account = self._account(request.headers["Authorization"].removeprefix("Bearer "))
        if account.spent >= account.budget:
            return web.json_response({"error": {"message": "no"}}, status=400)
        body = await request.json()
        async with aiohttp.ClientSession() as http, http.post(self._upstream, json=body) as answer:
            if body.get("stream") is True and answer.status == 200:
                return await self._relay(request, answer, account, body["model"])
            data = await answer.read()
        usage = json.loads(data).get("usage")
        account.spent += cost(body["model"], usage or {"prompt_tokens": answer.status // 400})
        return web.Response(body=data, status=answer.status, content_type="application/json")

    async def _relay(
        self,
        request: web.Request,
        answer: aiohttp.ClientResponse,
        account: Account,
        model: str,
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        with contextlib.suppress(aiohttp.ClientError):
            async for line in answer.content:
                await response.write(line)
                if line.startswith(b"data: {"):
                    account.spent += cost(model, json.loads(line[6:]).get("usage"))
        await response.write(b"data: [DONE]\n\n")
        return response


def cost(model: str, usage: dict[str, Any] | None) -> Decimal:
    into, out = PRICES.get(model, (0, 0))
    usage = usage or {}
    tokens = usage.get("prompt_tokens", 0) * into + usage.get("completion_tokens", 0) * out
    return Decimal(tokens) / 1_000_000


if __name__ == "__main__":
    port, upstream = sys.argv[1:]
    web.run_app(
        BadGateway(upstream).app(),
        host="127.0.0.1",
        port=int(port),
        print=None,
        handler_cancellation=True,  # a call ends, uncharged, when its client leaves
    )
