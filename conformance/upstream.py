"""The scripted upstream: an OpenAI-compatible provider that counts its calls.

What it answers is decided by a marker in the prompt, so that the gateway's own calls, and those of
another check, change no count.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from conformance.http_exchange import (
    LAST_CHUNK,
    NotHttp,
    Request,
    chunk,
    head,
    read_request,
)

Usage = dict[str, Any]

USED: Usage = {"prompt_tokens": 100, "completion_tokens": 1000, "total_tokens": 1100}
"""What a call uses unless its script says otherwise; calls are made with `max_tokens` of 1000."""
WORDS = "one two three four five six seven eight nine ten " * 10
LONGEST_HOLD_SECONDS = 120.0


@dataclass(frozen=True)
class Reply:
    """`usage` None: it is left out. `hold`: wait for `Script.release` before the answer, in a
    stream after its first piece. `break_off`: the connection ends in the middle."""

    status: int = 200
    usage: Usage | None = None
    text: str = WORDS
    hold: bool = False
    break_off: bool = False


OK = Reply(usage=USED)
HELD = Reply(usage=USED, hold=True)


class Script:
    """The replies to the calls with one marker, in order; the last one repeats."""

    def __init__(self, marker: str, replies: Sequence[Reply]) -> None:
        self.marker = marker
        self.calls = 0
        self.answered = 0
        """Calls that were answered with status 200 or had begun to be: what a provider bills."""
        self._replies = replies
        self._release = asyncio.Event()
        self._changed = asyncio.Condition()

    async def next(self) -> Reply:
        reply = self._replies[min(self.calls, len(self._replies) - 1)]
        async with self._changed:
            self.calls += 1
            self._changed.notify_all()
        return reply

    async def until_called(self, calls: int, seconds: float) -> bool:
        """Whether that many calls arrived in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self.calls >= calls)
        return self.calls >= calls

    async def until_quiet(self, seconds: float) -> None:
        """Returns when no further call has come for so long."""
        while await self.until_called(self.calls + 1, seconds):
            pass

    def release(self) -> None:
        self._release.set()

    async def held(self) -> None:
        """Waits for `release`, but not forever."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._release.wait(), LONGEST_HOLD_SECONDS)


class Upstream:
    """Use as a context manager; `url` ends in `/v1`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._scripts: dict[str, Script] = {}
        self._numbers = itertools.count(1)
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self.url = ""

    def script(self, *replies: Reply) -> Script:
        made = Script(f"[conformance-{next(self._numbers):04}]", replies or (OK,))
        self._scripts[made.marker] = made
        return made

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for script in self._scripts.values():
            script.release()
        tasks = [task for task in self._open.values() if task is not None]
        for writer in self._open:
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[writer] = asyncio.current_task()
        with contextlib.suppress(ConnectionError, NotHttp, ValueError, asyncio.IncompleteReadError):
            while request := await read_request(reader):
                await self._answer(request, writer)
                await writer.drain()
        self._open.pop(writer)
        writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.method == "GET" and request.path.endswith("/models"):
            return _send(writer, 200, {"object": "list", "data": [{"id": "scripted"}]})
        if request.method != "POST" or not request.path.endswith("/chat/completions"):
            return _send(writer, 404, _error(f"{request.method} {request.path} is not scripted"))
        body = request.json_object()
        text = json.dumps(body.get("messages"))
        script = next((each for mark, each in self._scripts.items() if mark in text), None)
        if script is None:
            return _send(writer, 200, _completion(body, OK))
        reply = await script.next()
        if body.get("stream") is True and reply.status == 200:
            return await _stream(writer, script, reply, body)
        return await _whole(writer, script, reply, body)


async def _whole(
    writer: asyncio.StreamWriter, script: Script, reply: Reply, body: dict[str, Any]
) -> None:
    if reply.hold:
        await script.held()
    if reply.status != 200:
        return _send(writer, reply.status, _error(f"scripted {reply.status}"))
    script.answered += 1
    if not reply.break_off:
        return _send(writer, 200, _completion(body, reply))
    data = json.dumps(_completion(body, reply)).encode()
    writer.write(head(200, "application/json", len(data)) + data[: len(data) // 2])
    await writer.drain()
    writer.transport.close()


async def _stream(
    writer: asyncio.StreamWriter, script: Script, reply: Reply, body: dict[str, Any]
) -> None:
    """Two pieces of text, the finish reason, the usage if it was asked for, and `[DONE]`."""
    script.answered += 1
    half = len(reply.text) // 2
    writer.write(head(200, "text/event-stream", None))
    writer.write(_event(body, {"role": "assistant", "content": reply.text[:half]}))
    await writer.drain()
    if reply.hold:
        await script.held()
    writer.write(_event(body, {"content": reply.text[half:]}))
    if reply.break_off:
        await writer.drain()
        writer.transport.close()
        return
    writer.write(_event(body, {}, finish="stop"))
    asked = (body.get("stream_options") or {}).get("include_usage")
    if asked and reply.usage is not None:
        writer.write(_data({**_chunk(body), "choices": [], "usage": reply.usage}))
    writer.write(chunk(b"data: [DONE]\n\n") + LAST_CHUNK)


def _send(writer: asyncio.StreamWriter, status: int, body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    writer.write(head(status, "application/json", len(data)) + data)


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "scripted_error"}}


def _completion(body: dict[str, Any], reply: Reply) -> dict[str, Any]:
    message = {"role": "assistant", "content": reply.text}
    made = {
        "id": "chatcmpl-conformance",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": body.get("model", ""),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    return made if reply.usage is None else {**made, "usage": reply.usage}


def _chunk(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-conformance",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": body.get("model", ""),
    }


def _event(body: dict[str, Any], delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _data({**_chunk(body), "choices": [choice]})


def _data(value: dict[str, Any]) -> bytes:
    return chunk(b"data: " + json.dumps(value).encode() + b"\n\n")
