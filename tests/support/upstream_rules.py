"""The scripted upstream's rules, and the answer that follows from one."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from tests.support import obedient_model

Usage = dict[str, Any] | Literal["missing", "zero"] | None


@dataclass(frozen=True)
class Received:
    """One request as the upstream saw it. `body` is empty if it was not a JSON object."""

    body: dict[str, Any]
    sha256: str
    idempotency_key: str | None
    headers: dict[str, str]

    @property
    def wants_stream(self) -> bool:
        return self.body.get("stream") is True

    @cached_property
    def text(self) -> str:
        """All message contents, joined: what tests search for a goal or an ask."""
        messages = self.body.get("messages") or []
        return "\n".join(str(message.get("content")) for message in messages)

    @classmethod
    def parse(cls, raw: bytes, headers: dict[str, str]) -> Received:
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        key = headers.get("idempotency-key")
        digest = hashlib.sha256(raw).hexdigest()
        return cls(body if isinstance(body, dict) else {}, digest, key, headers)


@dataclass
class Rule:
    """The first rule that matches answers, `times` times at most; then the next one does."""

    match: Callable[[Received], bool] | None = None
    contains: str | None = None
    """As `match`, for rules that come over HTTP: a piece of the messages' text."""
    times: int | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | list[Any] | str | None = None
    """The whole answer, as it is; a text need not be JSON."""
    text: str | Callable[[Received], str] | None = None
    latency: float = 0.0
    usage: Usage = None
    """None: plausible token counts. `missing`, `zero`, or the usage object itself."""
    choices: bool = True
    disconnect: Literal["before", "middle"] | None = None
    chunks: int = 3
    """Of a streamed answer: in how many pieces its text comes."""
    chunk_delay: float = 0.0
    heartbeat: str | None = None
    """A comment before each chunk."""
    stream_error: dict[str, Any] | None = None
    """Comes as an event in the middle of a streamed answer, which then ends."""
    gate: asyncio.Event | None = None
    """Holds the answer, or a streamed one in its middle, until this is set."""
    finish: bool = True
    """Whether a streamed answer has a `finish_reason`."""
    done: bool = True
    """Whether a streamed answer ends with `[DONE]`."""
    obeys: bool = False
    """The answer is the obedient model's (`tests.support.obedient_model`)."""
    sse: list[str] | None = None
    """The whole streamed answer, as it is, in these pieces."""
    used: int = 0

    def takes(self, request: Received) -> bool:
        if self.times is not None and self.used >= self.times:
            return False
        if self.contains is not None and self.contains not in request.text:
            return False
        return self.match is None or self.match(request)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Rule:
        """A rule sent over HTTP: all fields but `match` and `gate`; `text` is a constant."""
        known = set(cls.__dataclass_fields__) - {"match", "gate", "used"}
        if unknown := set(data) - known:
            raise ValueError(f"unknown rule fields {sorted(unknown)}; known: {sorted(known)}")
        return cls(**data)


def answer(rule: Rule, request: Received) -> bytes:
    """The bytes of the response's body."""
    if isinstance(rule.body, str):
        return rule.body.encode()
    if rule.body is not None:
        return json.dumps(rule.body).encode()
    if rule.status != 200:
        error = {"message": f"scripted {rule.status}", "type": "scripted_error"}
        return json.dumps({"error": error}).encode()
    return json.dumps(completion(rule, request)).encode()


def text_of(rule: Rule, request: Received) -> str:
    text = rule.text(request) if callable(rule.text) else rule.text
    return default_text(request.body) if text is None else text


def completion(rule: Rule, request: Received) -> dict[str, Any]:
    message = {"role": "assistant", "content": text_of(rule, request)}
    if rule.obeys:
        message = obedient_model.reply(request.body)
    choice = {"index": 0, "message": message, "finish_reason": obedient_model.finish(message)}
    result: dict[str, Any] = {
        "id": "chatcmpl-" + request.sha256[:12],
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": request.body.get("model", ""),
        "choices": [choice] if rule.choices else [],
    }
    usage = usage_of(rule, request, json.dumps(message) if rule.obeys else str(message["content"]))
    if usage is not None:
        result["usage"] = usage
    return result


def usage_of(rule: Rule, request: Received, text: str) -> dict[str, Any] | None:
    if rule.usage == "missing":
        return None
    if rule.usage == "zero":
        return {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cost": 0}
    if isinstance(rule.usage, dict):
        return rule.usage
    prompt = max(1, len(request.text) // 4)
    most = request.body.get("max_tokens") or 1_000_000
    completion_tokens = min(max(1, len(text) // 4), int(most))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt + completion_tokens,
    }


def default_text(body: dict[str, Any]) -> str:
    """A short fixed text, or the smallest instance of the JSON Schema of the request."""
    wanted = body.get("response_format") or {}
    if wanted.get("type") != "json_schema":
        return "ok"
    schema = wanted.get("json_schema", {}).get("schema", {})
    return json.dumps(minimal_instance(schema, schema))


def minimal_instance(schema: Any, root: Any) -> Any:
    """The smallest value that a schema allows; patterns are ignored."""
    if not isinstance(schema, dict):
        return None
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return minimal_instance(target, root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return minimal_instance(schema[key][0], root)
    return minimal_of_type(schema, root)


def minimal_of_type(schema: dict[str, Any], root: Any) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {})
        wanted = schema.get("required", list(properties))
        return {name: minimal_instance(properties.get(name, {}), root) for name in wanted}
    if kind == "array":
        prefix = schema.get("prefixItems", [])
        count = max(schema.get("minItems", 0), len(prefix) if "minItems" not in schema else 0)
        items = [*prefix, *[schema.get("items", {})] * count][:count]
        return [minimal_instance(item, root) for item in items]
    if kind == "string":
        return "x" * max(1, schema.get("minLength", 1))
    if kind in ("integer", "number"):
        return max(schema.get("minimum", 0), schema.get("exclusiveMinimum", -1) + 1)
    return False if kind == "boolean" else None
