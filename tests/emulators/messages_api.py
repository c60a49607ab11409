"""Anthropic's Messages API, strict about what it refuses. Written from its reference ("Create a
Message", "Errors", "Versions") and its guides ("Streaming messages", "Extended thinking", "Tool
use", "Vision", "Prompt caching").
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.serving import Served

Json = dict[str, Any]
FIELDS = {
    "model", "max_tokens", "messages", "system", "metadata", "stop_sequences", "stream",
    "temperature", "top_k", "top_p", "thinking", "tools", "tool_choice", "output_config",
    "cache_control", "service_tier", "container",
}  # fmt: skip
BLOCKS: dict[str, dict[str, set[str]]] = {
    "user": {
        "text": {"text"},
        "image": {"source"},
        "document": {"source", "title", "context", "citations"},
        "tool_result": {"tool_use_id", "content", "is_error"},
    },
    "assistant": {
        "text": {"text"},
        "thinking": {"thinking", "signature"},
        "redacted_thinking": {"data"},
        "tool_use": {"id", "name", "input"},
    },
}
USAGE: Json = {
    "input_tokens": 20,
    "cache_read_input_tokens": 30,
    "cache_creation_input_tokens": 10,
    "cache_creation": {"ephemeral_5m_input_tokens": 6, "ephemeral_1h_input_tokens": 4},
    "output_tokens": 7,
}


class Invalid(Exception):
    """A 400 with this message."""


def signed(thinking: str) -> Json:
    """A block of thinking as this server gives it out. It takes no other back."""
    signature = base64.b64encode(hashlib.sha256(thinking.encode()).digest()).decode()
    return {"type": "thinking", "thinking": thinking, "signature": signature}


def check(condition: object, message: str) -> None:
    if not condition:
        raise Invalid(message)


def check_request(body: Json) -> None:
    unknown = set(body) - FIELDS
    check(not unknown, f"{min(unknown, default='')}: Extra inputs are not permitted")
    check(isinstance(body.get("max_tokens"), int), "max_tokens: Field required")
    check(0 <= body.get("temperature", 1) <= 1, "temperature: range: 0..1")
    check(body.get("messages"), "messages: at least one message is required")
    check(body["messages"][0]["role"] == "user", "messages: first message must use the user role")
    for block in body.get("system", []) if isinstance(body.get("system"), list) else []:
        check_text(block, "system")
    calls: set[str] = set()
    for number, message in enumerate(body["messages"]):
        calls = check_message(message, f"messages.{number}", calls)
    for tool in body.get("tools", []):
        known = {"name", "description", "input_schema", "strict", "cache_control", "type"}
        check(set(tool) <= known, "tools: Extra inputs are not permitted")
        check(tool["input_schema"].get("type") == "object", "tools: input_schema.type: object")
    check(set(body.get("output_config", {})) <= {"effort", "format"}, "output_config: Extra inputs")
    thinking = body.get("thinking")
    if thinking and thinking["type"] == "enabled":
        check(1024 <= thinking["budget_tokens"] < body["max_tokens"], "thinking.budget_tokens")


def check_message(message: Json, path: str, calls: set[str]) -> set[str]:
    """Returns the ids of its tool calls, which the next message must answer."""
    check(set(message) == {"role", "content"}, f"{path}: Extra inputs are not permitted")
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    check(blocks, f"{path}: content must be non-empty")
    known = BLOCKS.get(message["role"])
    check(known, f"{path}.role: Input should be 'user' or 'assistant'")
    assert known is not None
    for block in blocks:
        check(block["type"] in known, f"{path}: unexpected `{block['type']}` block")
        fields = set(block) - {"type", "cache_control"}
        check(fields <= known[block["type"]], f"{path}: Extra inputs are not permitted")
        if block["type"] == "text":
            check_text(block, path)
        elif block["type"] == "thinking":
            given = signed(block["thinking"])["signature"]
            check(block["signature"] == given, f"{path}: Invalid `signature` in `thinking` block")
        elif block["type"] in ("image", "document"):
            check_source(block["source"], path)
    for block in blocks:
        identifier = block.get("id", block.get("tool_use_id", "-"))
        check(re.fullmatch("[a-zA-Z0-9_-]+", identifier), f"{path}.id: String should match pattern")
    answered = [each["tool_use_id"] for each in blocks if each["type"] == "tool_result"]
    check(set(answered) == calls, f"{path}: `tool_use` ids without `tool_result` blocks")
    first = [each["type"] for each in blocks[: len(answered)]]
    check(first == ["tool_result"] * len(answered), f"{path}: tool_result blocks must come first")
    return {each["id"] for each in blocks if each["type"] == "tool_use"}


def check_text(block: Json, path: str) -> None:
    check(block["text"], f"{path}: text content blocks must be non-empty")


def check_source(source: Any, path: str) -> None:
    if source["type"] == "base64":
        check(set(source) == {"type", "media_type", "data"}, f"{path}.source")
        base64.b64decode(source["data"], validate=True)
    else:
        check(source["type"] == "url" and source["url"].startswith("https:"), f"{path}.source.url")


@dataclass
class MessagesApi(Served):
    """`answer` makes the content blocks and the stop reason of each request."""

    answer: Callable[[Json], tuple[list[Json], str]]
    key: str = "anthropic-key-0123456789"
    requests: list[Json] = field(default_factory=list)
    fails_midway: bool = False

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/messages", self._create)
        return app

    async def _create(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("x-api-key") != self.key:
            return self._error(401, "authentication_error", "invalid x-api-key")
        if request.headers.get("anthropic-version") != "2023-06-01":
            return self._error(400, "invalid_request_error", "anthropic-version: header required")
        body = await request.json()
        try:
            check_request(body)
        except Invalid as problem:
            return self._error(400, "invalid_request_error", str(problem))
        self.requests.append(body)
        blocks, reason = self.answer(body)
        message = {
            "id": f"msg_{len(self.requests)}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": blocks,
            "stop_reason": reason,
            "stop_sequence": "END" if reason == "stop_sequence" else None,
            "usage": USAGE,
        }
        if body.get("stream"):
            return await self._stream(request, message)
        return web.json_response(message)

    def _error(self, status: int, kind: str, message: str) -> web.Response:
        error = {"type": "error", "error": {"type": kind, "message": message}}
        return web.json_response(error, status=status)

    async def _stream(self, request: web.Request, message: Json) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        sent = events(message)
        if self.fails_midway:
            overloaded = {"type": "overloaded_error", "message": "Overloaded"}
            sent = [*sent[:3], {"type": "error", "error": overloaded}]
        for event in sent:
            await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        return response


def events(message: Json) -> list[Json]:
    usage = {**USAGE, "output_tokens": 1}
    start = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    found: list[Json] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(message["content"]):
        empty, deltas = parts(block)
        found.append({"type": "content_block_start", "index": index, "content_block": empty})
        found += [{"type": "content_block_delta", "index": index, "delta": d} for d in deltas]
        found.append({"type": "content_block_stop", "index": index})
    end = {name: message[name] for name in ("stop_reason", "stop_sequence")}
    tokens = {"output_tokens": USAGE["output_tokens"]}
    found.append({"type": "message_delta", "delta": end, "usage": tokens})
    return [*found, {"type": "message_stop"}]


def parts(block: Json) -> tuple[Json, list[Json]]:
    """The block as it starts, and its deltas."""
    if block["type"] == "text":
        half = len(block["text"]) // 2
        texts = [block["text"][:half], block["text"][half:]]
        return {"type": "text", "text": ""}, [{"type": "text_delta", "text": t} for t in texts]
    if block["type"] == "thinking":
        return {"type": "thinking", "thinking": "", "signature": ""}, [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": block["signature"]},
        ]
    if block["type"] == "tool_use":
        pieces = ["", json.dumps(block["input"])] if block["input"] else []
        deltas = [{"type": "input_json_delta", "partial_json": each} for each in pieces]
        return {**block, "input": {}}, deltas
    return block, []
