"""The same server by streamable HTTP (MCP 2025-11-25, or 2026-07-28), and what HTTP adds to go
wrong."""

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.activities.tools import hostile_server
from tests.support.serving import listening

Answer = Callable[["HostileHttp", web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


@dataclass
class HostileHttp:
    """`answers` are for tools by name; `refuses` answers every request, whatever it asks."""

    url: str = ""
    refuses: web.Response | None = None
    sessions: set[str] = field(default_factory=set)
    seen: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    no_session: Callable[[], web.Response] = lambda: web.Response(
        status=404, text="no such session"
    )
    """The answer to a request whose session it does not know."""
    kept: dict[str, bytes] = field(default_factory=dict)
    """Events with which a stream that broke off is continued, by the number of its last one."""
    stream: list[Any] | None = None
    """What `play` does with the stream that a client opens by GET."""
    holds: bool = False
    """What is no request, such as an answer to one of its own, is never answered."""
    session: str = ""
    """What each session is called, in place of a name of its own."""
    modern: bool = False
    """It speaks 2026-07-28, which has no sessions."""
    calls: int = 0
    tools: list[dict[str, Any]] = field(default_factory=hostile_server.listed)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        message = json.loads(body) if body else {}
        self.seen.append((request.method, dict(request.headers), message))
        if self.refuses is not None:
            refused = self.refuses
            return web.Response(status=refused.status, headers=refused.headers, body=refused.body)
        if request.headers.get("Last-Event-ID") in self.kept:
            return await sent_events(request, self.kept[request.headers["Last-Event-ID"]])
        if request.method == "GET" and self.stream is not None:
            return await play(request, None, self.stream)
        if self.holds and request.method != "GET" and not {"id", "method"} <= message.keys():
            await asyncio.sleep(60)
        if request.method != "POST":
            return web.Response(status=405)
        method, number = message.get("method"), message.get("id")
        if number is None or method is None:
            return web.Response(status=202)
        if method == "initialize":
            session = self.session or f"session-{len(self.sessions)}-{id(self)}"
            self.sessions.add(session)
            about = {"name": "hostile", "version": "1"}
            result = {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": about,
            }
            return answer(number, result, {"Mcp-Session-Id": session})
        if method == "server/discover" and self.modern:
            return answer(number, hostile_server.DISCOVERED)
        if method == "server/discover":
            return web.json_response(error(number, -32601, "no such method"), status=400)
        if not self.modern and request.headers.get("Mcp-Session-Id") not in self.sessions:
            return self.no_session()
        if method == "tools/list":
            return answer(number, {"tools": self.tools})
        return await self.call(request, message)

    async def call(self, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
        self.calls += 1
        number, params = message["id"], message["params"]
        name, value = params["name"], params["arguments"].get("value", "")
        if name in hostile_server.ERRORS:
            return web.json_response(
                {"jsonrpc": "2.0", "id": number} | {"error": hostile_server.ERRORS[name]}
            )
        if name == "slow":
            await asyncio.sleep(float(value))
        if name in HOW:
            return await HOW[name](self, request, message)
        return answer(number, hostile_server.text(value or str(self.calls)))


def answer(number: Any, result: Any, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": number, "result": result}, headers=headers)


def error(number: Any, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}


async def status(_: HostileHttp, __: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    return web.Response(status=int(message["params"]["arguments"]["value"]), text="oh no")


async def drop(_: HostileHttp, request: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def lies(_: HostileHttp, request: web.Request, __: dict[str, Any]) -> web.StreamResponse:
    """Announces more than it sends."""
    response = web.StreamResponse(
        headers={"content-type": "application/json", "content-length": "5000"}
    )
    await response.prepare(request)
    await response.write(b'{"jsonrpc":"2.0",')
    assert request.transport is not None
    request.transport.abort()
    return response


async def big(_: HostileHttp, request: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    """A result of as many bytes, in JSON or in one event."""
    value = message["params"]["arguments"]["value"]
    kind, size = value.split()
    events = kind == "events"
    response = web.StreamResponse(
        headers={"content-type": "text/event-stream" if events else "application/json"}
    )
    await response.prepare(request)
    before = b"event: message\ndata: " if events else b""
    head = b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"'
    await response.write(before + head % message["id"])
    for _number in range(int(size) // 1_000_000):
        await response.write(b"y" * 1_000_000)
    await response.write(b'"}]}}' + (b"\n\n" if events else b""))
    return response


async def events(
    _: HostileHttp, request: web.Request, message: dict[str, Any]
) -> web.StreamResponse:
    """An event stream: what `value` says comes before the answer, or instead of it."""
    value = message["params"]["arguments"]["value"]
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    if value == "flood":
        notification = {"jsonrpc": "2.0", "method": "notifications/message", "params": {}}
        line = f"data: {json.dumps(notification)}\n\n".encode()
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(line * 100)
    if value == "end":
        return response
    if value == "half":
        body = b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"\\ud83d"}]}}'
        await response.write(b": hello\r\n\r\nevent: message\r\ndata: " + body % message["id"])
        await response.write(b"\r\n\r\n")
        return response
    if value == "garbage":
        await response.write(b"data: {{{\n\n")
    return response


async def plays(
    _: HostileHttp, request: web.Request, message: dict[str, Any]
) -> web.StreamResponse:
    return await play(request, message["id"], json.loads(message["params"]["arguments"]["value"]))


async def play(request: web.Request, number: Any, steps: list[Any]) -> web.StreamResponse:
    """An event stream of steps: a text is sent as it is, with `$ID` for the request's number; a
    number is seconds to wait; a list is a text to send so many times; `break` breaks the connection
    off."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        for step in steps:
            if isinstance(step, int | float):
                await asyncio.sleep(step)
                continue
            if step == "break":
                assert request.transport is not None
                await asyncio.sleep(0.1)
                request.transport.abort()
                break
            times, said = (1, step) if isinstance(step, str) else step
            for done in range(times):
                text = said.replace("$ID", str(number)).replace("$N", str(done))
                await response.write(text.encode())
    return response


async def compressed(
    _: HostileHttp, __: web.Request, message: dict[str, Any]
) -> web.StreamResponse:
    body = gzip.compress(b" " * 50_000_000)
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    return web.Response(body=body, headers=headers)


async def page(_: HostileHttp, __: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    return web.Response(text="<html>Welcome</html>", content_type="text/html")


async def redirect(_: HostileHttp, __: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    return web.Response(status=307, headers={"location": "http://elsewhere.example/mcp"})


async def accepted(_: HostileHttp, __: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    return web.Response(status=202)


async def resumes(
    server: HostileHttp, request: web.Request, message: dict[str, Any]
) -> web.StreamResponse:
    """A stream that ends before its answer, which is to be asked for again (MCP 2025-11-25,
    "Resumability and Redelivery")."""
    result = {"jsonrpc": "2.0", "id": message["id"], "result": hostile_server.text("resumed")}
    server.kept["e-1"] = f"id: e-2\ndata: {json.dumps(result)}\n\n".encode()
    return await sent_events(request, b"id: e-1\nretry: 10\ndata:\n\n")


async def sent_events(request: web.Request, events: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    await response.write(events)
    await response.write_eof()
    return response


async def x402(_: HostileHttp, __: web.Request, message: dict[str, Any]) -> web.StreamResponse:
    return web.json_response(hostile_server.X402, status=402)


HOW: dict[str, Answer] = {
    each.__name__: each
    for each in (
        status,
        drop,
        lies,
        big,
        events,
        plays,
        compressed,
        page,
        redirect,
        accepted,
        resumes,
        x402,
    )
}


@asynccontextmanager
async def hostile_http() -> AsyncIterator[HostileHttp]:
    server = HostileHttp()
    app = web.Application()
    app.router.add_route("*", "/mcp", server.handle)
    async with listening(app) as url:
        server.url = f"{url}/mcp"
        yield server
