"""An A2A server that can do what a good one never does. Written from the specification of A2A 1.0
(sections 4, 5.7 and 9): card, `SendMessage`, `GetTask` and `CancelTask` by JSON-RPC."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.serving import listening

Reply = dict[str, Any] | web.StreamResponse
Handler = Callable[[dict[str, Any]], Awaitable[Reply]]


@dataclass
class ScriptedAgent:
    """Answers each method with its handler's result, given the parameters."""

    methods: dict[str, Handler]
    card: Callable[[str], Any] = field(default=lambda url: one_interface(f"{url}/rpc"))
    url: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    request: web.Request | None = None

    def called(self, method: str) -> list[dict[str, Any]]:
        return [params for name, params in self.calls if name == method]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.request = request
        self.paths.append(request.path)
        if request.method == "GET":
            card = self.card(self.url)
            return card if isinstance(card, web.StreamResponse) else web.json_response(card)
        body = await request.json()
        assert body["jsonrpc"] == "2.0"
        self.calls.append((body["method"], body["params"]))
        if body["method"] not in self.methods:
            return _rpc({"error": {"code": -32601, "message": "Method not found"}})
        reply = await self.methods[body["method"]](body["params"])
        return reply if isinstance(reply, web.StreamResponse) else _rpc(reply)


def one_interface(url: str) -> dict[str, Any]:
    interface = {"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    return {"name": "scripted", "supportedInterfaces": [interface]}


def task(state: str, said: str = "", *, task_id: str = "t-1", **more: Any) -> dict[str, Any]:
    """A task of A2A 1.0, as JSON."""
    status: dict[str, Any] = {"state": f"TASK_STATE_{state}", "timestamp": "2026-01-01T00:00:00Z"}
    if said:
        message = {"messageId": f"m-{said}", "role": "ROLE_AGENT", "parts": [{"text": said}]}
        status["message"] = message
    return {"id": task_id, "contextId": "c-1", "status": status, **more}


def completed(text: str = "done") -> dict[str, Any]:
    artifact = {"artifactId": "a", "parts": [{"text": text}]}
    return task("COMPLETED", artifacts=[artifact])


def always(*results: Any) -> Handler:
    """Each result once, the last one forever."""
    left = list(results)

    async def reply(_: dict[str, Any]) -> Reply:
        result = left.pop(0) if len(left) > 1 else left[0]
        return result if isinstance(result, web.StreamResponse) else {"result": result}

    return reply


def error(code: int, message: str) -> Handler:
    async def reply(_: dict[str, Any]) -> Reply:
        return {"error": {"code": code, "message": message}}

    return reply


@asynccontextmanager
async def scripted_agent(
    send: Handler, get: Handler | None = None, **more: Handler
) -> AsyncIterator[ScriptedAgent]:
    methods = {"SendMessage": send, **({"GetTask": get} if get else {}), **more}
    agent = ScriptedAgent(methods)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", agent.handle)
    async with listening(app) as url:
        agent.url = url
        yield agent


def _rpc(reply: dict[str, Any]) -> web.Response:
    return web.Response(
        text=json.dumps({"jsonrpc": "2.0", "id": "1", **reply}), content_type="application/json"
    )
