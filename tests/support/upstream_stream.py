"""A streamed answer of the scripted upstream, by rule: chunks, delays, and what can go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tests.support.upstream_rules import Received, Rule, text_of, usage_of


def pieces(text: str, count: int) -> list[str]:
    """The text in `count` parts, or in as many as it has characters."""
    size = max(1, -(-len(text) // max(1, count)))
    return [text[start : start + size] for start in range(0, len(text), size)] or [""]


def event(data: Any) -> str:
    return f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n"


def events(rule: Rule, request: Received) -> Iterator[str]:
    """As OpenAI sends them: the usage comes in a chunk of its own, if the request wants it."""
    options = request.body.get("stream_options") or {}
    asked = options.get("include_usage") is True
    text = text_of(rule, request)
    head = {
        "id": "chatcmpl-" + request.sha256[:12],
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": request.body.get("model", ""),
    }
    usage = usage_of(rule, request, text) if asked else None
    if usage is not None:
        head["usage"] = None
    if rule.choices:
        parts = pieces(text, rule.chunks)
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": parts[0]}]
        deltas += [{"content": part} for part in parts[1:]]
        for delta in deltas:
            yield event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        if rule.finish:
            last = {"index": 0, "delta": {}, "finish_reason": "stop"}
            yield event({**head, "choices": [last]})
    if usage is not None:
        yield event({**head, "choices": [], "usage": usage})
    if rule.done:
        yield event("[DONE]")


async def at_gate(request: web.Request, gate: asyncio.Event) -> None:
    """Waits until it opens or the client has disconnected."""
    while request.transport is not None and not gate.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(gate.wait(), 0.05)


async def stream(
    request: web.Request, rule: Rule, received: Received
) -> tuple[bool, web.StreamResponse]:
    """Sends it; returns whether all of it was sent, and the response."""
    headers = {"Content-Type": "text/event-stream", **rule.headers}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    sent = list(events(rule, received)) if rule.sse is None else rule.sse
    middle = max(1, len(sent) // 2)
    for number, each in enumerate(sent):
        if number == middle:
            if rule.gate is not None:
                await at_gate(request, rule.gate)
            if rule.stream_error is not None:
                await response.write(event(rule.stream_error).encode())
                return False, response
            if rule.disconnect == "middle":
                assert request.transport is not None
                request.transport.abort()
                return False, response
        if rule.heartbeat is not None:
            await response.write(f": {rule.heartbeat}\n\n".encode())
        if rule.chunk_delay:
            await asyncio.sleep(rule.chunk_delay)
        await response.write(each.encode())
    return True, response
