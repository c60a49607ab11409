"""OpenAI's Responses API, strict about what it refuses. Written from its reference ("Create a model
response", "Streaming events") and its guides ("Reasoning models", "Function calling", "Structured
outputs"). It stores nothing: what a model has thought must come back to it, encrypted.
"""

import asyncio
import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.serving import Served

Json = dict[str, Any]
FIELDS = {
    "model", "input", "instructions", "max_output_tokens", "tools", "tool_choice", "text",
    "reasoning", "include", "store", "parallel_tool_calls", "temperature", "top_p", "top_logprobs",
    "metadata", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    "service_tier", "stream", "stream_options", "truncation",
}  # fmt: skip
ITEMS = {
    "message": {"role", "content", "phase"},
    "reasoning": {"id", "summary", "encrypted_content", "content", "status"},
    "function_call": {"call_id", "name", "arguments", "id", "status"},
    "function_call_output": {"call_id", "output"},
}
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""Of a function, and of a call."""
INCLUDED = ("reasoning.encrypted_content", "message.output_text.logprobs")
PARTS = {
    "input_text": {"text"},
    "input_image": {"image_url", "detail"},
    "input_file": {"file_data", "filename"},
}
USAGE: Json = {
    "input_tokens": 60,
    "input_tokens_details": {"cached_tokens": 30},
    "output_tokens": 40,
    "output_tokens_details": {"reasoning_tokens": 33},
    "total_tokens": 100,
}


class Invalid(Exception):
    """A 400 with this message."""


def check(condition: object, message: str) -> None:
    if not condition:
        raise Invalid(message)


def encrypted(identity: str) -> str:
    """What this server gives out for a reasoning item, and takes back for no other."""
    return base64.b64encode(f"thought of {identity}".encode()).decode()


def reasoning(identity: str, *summary: str) -> Json:
    texts = [{"type": "summary_text", "text": each} for each in summary]
    return {
        "type": "reasoning",
        "id": identity,
        "summary": texts,
        "encrypted_content": encrypted(identity),
    }


def sealed(item: Json, model: str) -> Json:
    """As this model gives it out."""
    if item["type"] != "reasoning":
        return item
    return {**item, "encrypted_content": f"{item['encrypted_content']} by {model}"}


def said(text: str, phase: str | None = None, **part: Any) -> Json:
    content = [{"type": "output_text", "text": text, "annotations": [], **part}]
    return {
        "type": "message",
        "id": "msg_1",
        "status": "completed",
        "role": "assistant",
        "content": content,
        **({"phase": phase} if phase else {}),
    }


def refused(text: str) -> Json:
    return {**said(""), "content": [{"type": "refusal", "refusal": text}]}


def call(identity: str, **arguments: Any) -> Json:
    return {
        "type": "function_call",
        "id": f"fc_{identity}",
        "call_id": identity,
        "name": "weather",
        "arguments": json.dumps(arguments),
        "status": "completed",
    }


def check_request(body: Json, *, thinks: bool) -> None:
    unknown = set(body) - FIELDS
    check(not unknown, f"Unknown parameter: {min(unknown, default='')!r}")
    check(body.get("store") is False, "this emulator stores nothing")
    limit = body.get("max_output_tokens")
    check(isinstance(limit, int) and limit >= 16, "integer_below_min_value: max_output_tokens")
    check(set(body.get("include", [])) <= set(INCLUDED), "Invalid value: include")
    if "reasoning.encrypted_content" in body.get("include", []):
        check(thinks, "Encrypted content is not supported with this model.")
    if thinks:
        wrong = {"temperature", "top_p", "top_logprobs"} & set(body)
        check(not wrong, f"Unsupported parameter: {min(wrong, default='')}")
    else:
        check("reasoning" not in body, "Unsupported parameter: 'reasoning.effort'")
    for tool in body.get("tools", []):
        known = {"type", "name", "description", "parameters", "strict"}
        check(set(tool) <= known, "tools: Unknown parameter")
        check(NAME.fullmatch(tool["name"]), "tools: name: string does not match pattern")
        schema = tool["parameters"]
        check(schema.get("type") == "object" and "properties" in schema, "tools: parameters")
        check(not tool.get("strict", True), "tools: this schema is none of strict mode")
    shape = body.get("text", {}).get("format", {"type": "text"})
    check(shape["type"] in ("text", "json_object", "json_schema"), "text.format.type")
    if shape["type"] == "json_schema":
        check({"name", "schema"} <= set(shape), "Missing required parameter: 'text.format.name'")
    check_items(body["input"], body["model"], thinks=thinks)


def check_items(items: Any, model: str, *, thinks: bool) -> None:
    waiting: list[str] = []
    seen: set[str] = set()
    check(isinstance(items, list) and items, "input")
    for number, item in enumerate(items):
        path, kind = f"input[{number}]", item.get("type")
        check(kind in ITEMS, f"Invalid value: {kind!r}")
        check(set(item) <= ITEMS[kind] | {"type"}, f"Unknown parameter: {path}")
        if kind == "message":
            check_message(item, path)
        elif kind == "function_call":
            check(NAME.fullmatch(item["call_id"]), f"{path}.call_id: string too long")
            check(item["call_id"] not in waiting, f"{path}: Duplicate item")
            check(isinstance(item["arguments"], str) and item["arguments"], f"{path}.arguments")
            waiting.append(item["call_id"])
        elif kind == "function_call_output":
            known = item["call_id"] in waiting
            check(known, f"No tool call found for function call output {item['call_id']}")
            waiting.remove(item["call_id"])
            check_content(item["output"], path)
        else:
            check(thinks, f"{path}: reasoning is not supported with this model")
            own = sealed({**item, "encrypted_content": encrypted(item["id"])}, model)
            verified = item["encrypted_content"] == own["encrypted_content"]
            check(verified, f"The encrypted content for item {item['id']} could not be verified")
            check(item["id"] not in seen, f"Duplicate item found with id {item['id']}")
            seen.add(item["id"])
            follows = items[number + 1]["type"] if number + 1 < len(items) else ""
            is_own = follows in ("function_call", "reasoning") or (
                follows == "message" and items[number + 1]["role"] == "assistant"
            )
            check(is_own, f"Item {item['id']!r} was provided without its required following item.")
    check(not waiting, f"No tool output found for function call {waiting}")


def check_message(item: Json, path: str) -> None:
    role = item["role"]
    check(role in ("user", "assistant", "system", "developer"), f"Invalid value: {path}.role")
    if role == "assistant":
        check(isinstance(item["content"], str) and item["content"], f"{path}.content")
        check(item.get("phase") in (None, "commentary", "final_answer"), f"{path}.phase")
    else:
        check("phase" not in item, f"Unknown parameter: {path}.phase")
        check_content(item["content"], path)


def check_content(content: Any, path: str) -> None:
    for part in [] if isinstance(content, str) else content:
        kind = part.get("type")
        check(kind in PARTS, f"Invalid value: {kind!r}. Supported: {', '.join(PARTS)}")
        check(set(part) <= PARTS[kind] | {"type"}, f"Unknown parameter: {path}.content")


@dataclass
class ResponsesApi(Served):
    """`answer` makes the output items of each request, and what else of the Response is unusual."""

    answer: Callable[[Json], tuple[list[Json], Json]]
    thinks: bool = True
    key: str = "openai-key-0123456789"
    requests: list[Json] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    cut_after: int | None = None
    """Events of a stream, after which it reports an error."""
    stops_after: int | None = None
    """Events of a stream, after which nothing more comes."""
    lacks: frozenset[str] = frozenset()
    """Types of events that it leaves out."""
    encrypts_last: bool = False
    """Azure has been seen to send what is encrypted only in the last event of a stream."""
    ends_with_done: bool = False
    """xAI and OpenRouter add `[DONE]`."""
    says_why_later: bool = False
    """Azure has been seen to send the error of a Response that failed in an event after it."""

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/v1/responses", self._create)
        return app

    async def _create(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return self._error(401, "Incorrect API key provided", "invalid_api_key")
        body = await request.json()
        try:
            check_request(body, thinks=self.thinks)
        except Invalid as problem:
            self.refusals.append(str(problem))
            return self._error(400, str(problem), "invalid_request_error")
        self.requests.append(body)
        output, more = self.answer(body)
        response = {
            "id": f"resp_{len(self.requests)}",
            "object": "response",
            "created_at": 1_700_000_000,
            "status": "completed",
            "model": body["model"],
            "error": None,
            "incomplete_details": None,
            "output": [sealed(item, body["model"]) for item in output],
            "usage": USAGE,
            "store": False,
            **more,
        }
        if body.get("stream"):
            return await self._stream(request, response)
        return web.json_response(response)

    def _error(self, status: int, message: str, code: str) -> web.Response:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
        return web.json_response({"error": error}, status=status)

    async def _stream(self, request: web.Request, whole: Json) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        listed = [each for each in events(whole) if each["type"] not in self.lacks]
        for number, each in enumerate(listed):
            if number == self.stops_after:
                await asyncio.sleep(60)
            if self.encrypts_last and each["type"] == "response.output_item.done":
                each = {**each, "item": {**each["item"], "encrypted_content": None}}
            if number == self.cut_after:
                each = {"type": "error", "code": "server_error", "message": "Boom", "param": None}
            data = {**each, "sequence_number": number}
            await response.write(f"event: {each['type']}\ndata: {json.dumps(data)}\n\n".encode())
            if number == self.cut_after:
                break
        if self.says_why_later:
            error = {"code": "content_filter", "message": "It violates a policy.", "param": None}
            await response.write(f"data: {json.dumps({'type': 'error', **error})}\n\n".encode())
        if self.ends_with_done:
            await response.write(b"data: [DONE]\n\n")
        return response


def events(whole: Json) -> Iterator[Json]:
    """At the start it repeats the tier that was asked for; it is served in another one."""
    begun = {**whole, "status": "in_progress", "output": [], "usage": None, "service_tier": "auto"}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    yield {"type": "keepalive"}
    for index, item in enumerate(whole["output"]):
        yield {"type": "response.output_item.added", "output_index": index, "item": started(item)}
        for event in parts(item):
            yield {**event, "item_id": item["id"], "output_index": index}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{whole['status']}", "response": whole}


def started(item: Json) -> Json:
    empty: Json = {"arguments": ""} if item["type"] == "function_call" else {}
    if item["type"] == "message":
        empty = {"content": []}
    if item["type"] == "reasoning":
        empty = {"summary": [], "encrypted_content": item["encrypted_content"][:4]}
    return {**item, "status": "in_progress", **empty}


def halves(text: str) -> list[str]:
    return [each for each in (text[: len(text) // 2], text[len(text) // 2 :]) if each]


def parts(item: Json) -> Iterator[Json]:
    if item["type"] == "function_call":
        for delta in halves(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", "delta": delta}
        yield {"type": "response.function_call_arguments.done", "arguments": item["arguments"]}
    elif item["type"] == "reasoning":
        for number, part in enumerate(item["summary"]):
            yield {"type": "response.reasoning_summary_part.added", "summary_index": number}
            for delta in halves(part["text"]):
                event = {"type": "response.reasoning_summary_text.delta", "summary_index": number}
                yield {**event, "delta": delta}
    else:
        for number, part in enumerate(item["content"]):
            kind = "refusal" if part["type"] == "refusal" else "output_text"
            text = part["refusal"] if kind == "refusal" else part["text"]
            yield {"type": "response.content_part.added", "content_index": number}
            for delta in halves(text):
                more = {"logprobs": part.get("logprobs", [])} if kind == "output_text" else {}
                yield {"type": f"response.{kind}.delta", "delta": delta, **more}
            yield {"type": f"response.{kind}.done", "text": text}
            yield {"type": "response.content_part.done", "content_index": number, "part": part}
