"""Serves all emulated providers, strict as they are: `/NAME/chat/completions`."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.emulators.conversations import NotTaken, calling, check_conversation
from tests.emulators.rules import PROVIDERS, Provider
from tests.support.serving import listening

STRICT_KEYWORDS = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf",
     "$ref", "$defs", "definitions", "description", "title", "pattern", "format", "multipleOf",
     "maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "minItems", "maxItems"}
)  # fmt: skip
KEY = "key-of-an-emulated-provider"
THOUGHT = "Let me think about it."


class Refused(Exception):
    def __init__(self, status: int, message: str, code: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass
class Emulators:
    """`answers` are looked up by a text in the prompt. `requests` are all that were accepted."""

    url: str
    answers: dict[str, Any]
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    context_tokens: int = 10**9
    """Of every model."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        provider = PROVIDERS[name]
        body = json.loads(await request.read())
        try:
            check_request(provider, request, body)
            check_conversation(name, body["messages"])
        except NotTaken as refused:
            self.refusals.append(f"{name}: {refused}")
            return web.json_response({"error": {"message": str(refused)}}, status=refused.status)
        except Refused as refused:
            self.refusals.append(f"{name}: {refused}")
            error = {"message": str(refused), "type": refused.code, "code": refused.code}
            return web.json_response({"error": error}, status=refused.status)
        if provider.too_long and len(prompt_of(body)) // 4 > self.context_tokens:
            self.refusals.append(f"{name}: the context is exceeded")
            return web.json_response(provider.too_long, status=400)
        self.requests.append((name, body))
        if body.get("tools") and not any(each["role"] == "tool" for each in body["messages"]):
            return web.json_response(called(provider, name, body))
        text = "It rains." if body.get("tools") else self._answer(provider, body)
        if body.get("stream"):
            return await _stream(request, provider, body, text)
        return web.json_response(completion(provider, body, text))

    def _answer(self, provider: Provider, body: dict[str, Any]) -> str:
        prompt = prompt_of(body)
        found = next((answer for part, answer in self.answers.items() if part in prompt), "Done.")
        if isinstance(found, str):
            return found
        schema = schema_of(body) if provider.holds else None
        text = json.dumps(with_nulls(found, schema) if schema else found)
        asked = (body.get("response_format") or {}).get("type")
        told = asked in ("json_object", "json_schema") and not provider.ignores_format
        return text if told else f"Here it is:\n```json\n{text}\n```"


def check_request(provider: Provider, request: web.Request, body: dict[str, Any]) -> None:
    """Raises Refused as the provider does."""
    expected = KEY if provider.key_header != "Authorization" else f"Bearer {KEY}"
    if request.headers.get(provider.key_header) != expected:
        raise Refused(401, "the key is missing or wrong", "invalid_api_key")
    if any(request.query.get(name) != value for name, value in provider.query.items()):
        raise Refused(404, "Resource not found")
    unknown = set(body) - provider.known if provider.known else set()
    if unknown:
        status = provider.unknown_status
        raise Refused(status, f"Unknown name {min(unknown)!r}: Cannot find field (extra_forbidden)")
    if wrong := set(body) & provider.refused:
        raise Refused(
            400, f"Unsupported parameter: {min(wrong)!r} is not supported", "unsupported_parameter"
        )
    limits = set(body) & {"max_tokens", "max_completion_tokens"}
    if limits - provider.limit or len(limits) != 1:
        raise Refused(400, f"Unsupported parameter: {sorted(limits)}", "unsupported_parameter")
    if not 0 <= body.get("temperature", 0) <= provider.max_temperature:
        raise Refused(400, "temperature is out of range")
    if body.get("stream_options") and not body.get("stream"):
        raise Refused(400, "stream_options is only allowed with stream")
    if body["model"] in provider.forced and body.get("tool_choice", "auto") not in ("auto", "none"):
        raise Refused(400, "Thinking mode does not support this tool_choice")
    thinks = body.get("reasoning_effort") != "none"
    if body.get("tools") and thinks and body["model"].startswith(provider.calls_without_thinking):
        raise Refused(400, "Function tools with reasoning_effort are not supported")
    for message in body["messages"]:
        if message["role"] not in ("system", "user", "assistant", "tool", "developer"):
            raise Refused(400, f"unknown role {message['role']!r}")
    if not provider.ignores_format:
        _check_format(provider, body)


def _check_format(provider: Provider, body: dict[str, Any]) -> None:
    wanted = body.get("response_format") or {"type": "text"}
    kind = wanted.get("type")
    if kind not in provider.formats:
        raise Refused(400, "This response_format type is unavailable now")
    if kind == "json_object" and provider.names_json and "json" not in prompt_of(body).lower():
        raise Refused(400, "Prompt must contain the word 'json' in some form")
    if kind == "json_schema" and provider.strict:
        if wanted["json_schema"].get("strict") is not True:
            raise Refused(400, "this emulator wants `strict`, since nothing else is enforced")
        _check_strict(wanted["json_schema"]["schema"], root=True)


def _check_strict(schema: Any, *, root: bool = False) -> None:
    """The subset of structured outputs."""
    if root and (schema.get("type") != "object" or "anyOf" in schema):
        raise Refused(400, "Invalid schema: the root must be an object")
    if wrong := set(schema) - STRICT_KEYWORDS:
        raise Refused(400, f"Invalid schema: {min(wrong)!r} is not permitted")
    if "properties" in schema:
        if schema.get("additionalProperties") is not False:
            raise Refused(400, "Invalid schema: 'additionalProperties' must be false")
        if sorted(schema.get("required", ())) != sorted(schema["properties"]):
            raise Refused(400, "Invalid schema: 'required' must list every property")
    elif schema.get("type") == "object":
        raise Refused(400, "Invalid schema: an object without properties")
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    inner += [schema["items"]] if "items" in schema else []
    inner += [*schema.get("$defs", {}).values()]
    for each in inner:
        _check_strict(each)


def prompt_of(body: dict[str, Any]) -> str:
    return "\n".join(_text(message.get("content")) for message in body["messages"])


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content)
    return content or ""


def schema_of(body: dict[str, Any]) -> dict[str, Any] | None:
    named = (body.get("response_format") or {}).get("json_schema") or {}
    schema = named.get("schema")
    return schema if isinstance(schema, dict) and named.get("strict") else None


def with_nulls(value: Any, schema: Mapping[str, Any]) -> Any:
    """What a model answers that strict mode holds to the schema: every property is there."""
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    return {name: value.get(name) for name in schema["properties"]}


def usage_of(provider: Provider, body: dict[str, Any], text: str) -> dict[str, Any]:
    prompt, completion = (
        len(prompt_of(body)) // 4 + 1,
        len(text) // 4 + 1 + provider.hidden_thinking,
    )
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if provider.hidden_thinking:
        usage["completion_tokens_details"] = {"reasoning_tokens": provider.hidden_thinking}
    if provider.reports_cost:
        usage["cost"] = 0.0000123
    return usage


def message_of(provider: Provider, text: str) -> dict[str, Any]:
    if provider.thinks_in == "tags":
        return {"role": "assistant", "content": f"<think>\n{THOUGHT}\n</think>\n\n{text}"}
    thinking = {"reasoning_content": THOUGHT} if provider.thinks_in == "field" else {}
    return {"role": "assistant", "content": text, **thinking}


def completion(provider: Provider, body: dict[str, Any], text: str) -> dict[str, Any]:
    choice = {"index": 0, "message": message_of(provider, text), "finish_reason": "stop"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [choice],
        "usage": usage_of(provider, body, text),
    }


def called(provider: Provider, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """An answer that calls tools."""
    message = calling(name, body["tools"])
    answer = completion(provider, body, json.dumps(message))
    answer["choices"] = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    return answer


def chunks(provider: Provider, body: dict[str, Any], text: str) -> Iterator[dict[str, Any]]:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    message = message_of(provider, text)
    half = len(message["content"]) // 2
    first = {**message, "content": message["content"][:half]}
    yield {**base, "choices": [{"index": 0, "delta": first, "finish_reason": None}]}
    rest = {"content": message["content"][half:]}
    yield {**base, "choices": [{"index": 0, "delta": rest, "finish_reason": None}]}
    last = {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    usage = usage_of(provider, body, text)
    if provider.streams_usage_unasked:
        yield {**last, "usage": usage}
        return
    yield last
    if (body.get("stream_options") or {}).get("include_usage"):
        yield {**base, "choices": [], "usage": usage}


async def _stream(
    request: web.Request, provider: Provider, body: dict[str, Any], text: str
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for chunk in chunks(provider, body, text):
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


@asynccontextmanager
async def emulators(answers: Mapping[str, Any]) -> AsyncIterator[Emulators]:
    """All providers on one port, for as long as a test needs them."""
    found = Emulators("", dict(answers))
    app = web.Application()
    app.router.add_post("/{name}/chat/completions", found.handle)
    app.router.add_post("/{name}/deployments/{model}/chat/completions", found.handle)
    async with listening(app) as url:
        found.url = url
        yield found
