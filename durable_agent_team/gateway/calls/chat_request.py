"""Parses a chat completion request and computes the upper bound of its cost."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from durable_agent_team.gateway.api_error import invalid, shown, shown_name
from durable_agent_team.gateway.calls.content_parts import Media, bound_of, can_bound, unbounded
from durable_agent_team.gateway.calls.dialect_body import in_dialect, in_messages, in_responses
from durable_agent_team.gateway.calls.result_order import results_in_order
from durable_agent_team.gateway.calls.time_limit import TimeLimit
from durable_agent_team.gateway.calls.tool_support import tools_field, tools_refused
from durable_agent_team.gateway.doors.chat_only import FIELDS, in_chat_terms
from durable_agent_team.gateway.json_bodies import dump
from durable_agent_team.gateway.models.model import Model
from durable_agent_team.gateway.models.model_table import ModelTable
from durable_agent_team.gateway.models.price import Price
from durable_agent_team.gateway.strict_json import parse_request

# Any other field is refused, since it could raise the cost above the bound (other models, service
# tiers, searches, images). `parameters` in a price entry allows further ones.
# fmt: off
KNOWN_FIELDS = frozenset(
    {
        "model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "n",
        "stop", "stream", "stream_options", "seed", "presence_penalty", "frequency_penalty",
        "logit_bias", "logprobs", "top_logprobs", "response_format", "tools", "tool_choice",
        "parallel_tool_calls", "functions", "function_call", "user", "metadata", "store",
        "reasoning_effort", "verbosity", "safety_identifier", "prompt_cache_key", "top_k",
        "min_p", "typical_p", "repeat_penalty", "repetition_penalty", "grammar", "cache_prompt",
        "service_tier",
    }
)
# fmt: on
STREAM_OPTIONS = frozenset({"include_usage", "include_obfuscation"})
LIMITS = ("max_tokens", "max_completion_tokens")
MAX_TOKENS = 10_000_000
MAX_MODEL_NAME = 200
MAY_BE_TEXT = ("name", "tool_call_id", "refusal")
"""Fields of a message that are texts if they are there."""
CHAT_PATH, MESSAGES_PATH, RESPONSES_PATH = "/chat/completions", "/messages", "/responses"
EMBEDDINGS_PATH = "/embeddings"
"""Where upstreams take a call, below their base URL."""


@dataclass(slots=True)
class ChatRequest:
    """A checked request with its price and the bound of its cost. `model` is the client's name for
    `target`, and `body` is what is sent upstream: in the target's dialect. Routes set what came in
    headers."""

    model: str
    target: Model
    price: Price
    body: bytes
    body_hash: str
    bound: int
    stream: bool = False
    include_usage: bool = False
    """Whether the client wants the chunk with the usage. The upstream always sends it."""
    time_limit: TimeLimit | None = None
    """Not a part of the body, so that repetitions can have another one; None for the upstream's."""
    known_limits: int | None = None
    """How often the client knows that this call ran into a limit of the gateway's own."""
    path: str = CHAT_PATH
    """Where its upstream takes it."""
    functions: bool = False
    """Whether the client calls tools by their older name."""


def parse_chat_request(raw: bytes, models: ModelTable) -> ChatRequest:
    """Raises ApiError, naming the field, if the request is wrong or its cost cannot be bounded."""
    return bounded_request(read_object(raw), models)


def read_object(raw: bytes) -> dict[str, Any]:
    """The body as a JSON object. Raises ApiError if it is not one."""
    try:
        return parse_request(raw)
    except ValueError as error:
        raise invalid(str(error), "not_json") from None


def door_hash(door: str, data: dict[str, Any]) -> str:
    """The hash of a body that came in by another door; never equal to that of a chat request."""
    return hashlib.sha256(door.encode() + _serialize(results_in_order(data))).hexdigest()


def find_model(data: dict[str, Any], models: ModelTable) -> Model:
    """The model that a request names. Raises ApiError."""
    model = data.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= MAX_MODEL_NAME:
        raise invalid(f"`model` must name a model (GET /v1/models lists them); got {shown(model)}")
    target = models.find(model)
    if target is None:
        why = models.why_not(model)
        raise replace(invalid(why.text, "unpriced_model"), extra=why.fields)
    return target


def bounded_request(
    data: dict[str, Any], models: ModelTable, body_hash: str | None = None
) -> ChatRequest:
    """A chat request with the bound of its cost. `body_hash` is given if the client sent another
    body, from which this one was translated. Raises ApiError."""
    target = find_model(data, models)
    model = data["model"]
    if target.kind != "chat":
        raise invalid(
            f"The model {model!r} makes embeddings; it cannot chat", "wrong_kind_of_model"
        )
    price = target.price
    if body_hash is not None and target.speaks != "messages":
        data = in_chat_terms(
            data,
            target.upstream,
            price.parameters,
            target.dialect.returns,
            responses=target.speaks == "responses",
        )
    media = Media()
    further = FIELDS if target.speaks == "messages" else frozenset()
    messages = _check(data, price, further, media)
    if not can_bound(price, media):
        raise unbounded(model)
    if target.dialect.tools == "none" and (field := tools_field(data)):
        raise tools_refused(model, field)
    written = _serialize(data)
    body_hash = body_hash or _hash(data, written)
    sent, path, limit = _as_sent(data, target)
    messages = max(messages, len(sent["input" if path == RESPONSES_PATH else "messages"]))
    body = written if sent == data else _serialize(sent)
    bound = bound_of(
        price,
        len(body),
        messages,
        limit,
        media,
        long_cache=price.prices_caching and b'"cache_control"' in body,
        service_tier=data.get("service_tier"),
    )
    options = data.get("stream_options") or {}
    return ChatRequest(
        model=model,
        target=target,
        price=price,
        body=body,
        body_hash=body_hash,
        bound=bound,
        stream=bool(data.get("stream")),
        include_usage=bool(options.get("include_usage")),
        path=path,
        functions=bool(data.get("functions")),
    )


def _hash(data: dict[str, Any], written: bytes) -> str:
    ordered = results_in_order(data)
    return hashlib.sha256(written if ordered is data else _serialize(ordered)).hexdigest()


def _as_sent(data: dict[str, Any], target: Model) -> tuple[dict[str, Any], str, int]:
    """The body for the upstream, its path, and its limit of tokens. A limit is always sent, and
    usage always asked for: without them a call's cost has no bound, or is not known."""
    sent = {name: each for name, each in data.items() if each is not None or name not in LIMITS}
    limit = _max_tokens(data)
    if limit is None:
        limit = sent["max_tokens"] = target.price.default_max_tokens
    if data.get("stream"):
        sent["stream_options"] = {**(data.get("stream_options") or {}), "include_usage": True}
    if target.speaks == "messages":
        return in_messages(sent, target, limit), MESSAGES_PATH, limit
    if target.speaks == "responses":
        return in_responses(sent, target, limit), RESPONSES_PATH, limit
    return in_dialect(sent, target, limit), CHAT_PATH, limit


def _serialize(data: dict[str, Any]) -> bytes:
    """Serialized again, so that the upstream reads exactly what was checked."""
    return dump(data, errors="strict")


def _check(data: dict[str, Any], price: Price, further: frozenset[str], media: Media) -> int:
    """Refuses what could cost more than the bound. Returns the number of messages."""
    if unknown := set(data) - KNOWN_FIELDS - further - set(price.parameters):
        raise invalid(
            f"`{shown_name(min(unknown))}` is not known here, so what it costs cannot be bounded."
            " Leave it out, or add it to `parameters` in the model's price entry.",
            "unsupported_parameter",
        )
    n = data.get("n")
    if n is not None and not (type(n) is int and n == 1):
        raise invalid("`n` must be 1: make one request for each answer", "unsupported_parameter")
    _check_stream(data)
    _check_service_tier(data, price)
    for tool in _list(data, "tools"):
        if not isinstance(tool, dict) or tool.get("type") != "function":
            raise invalid("`tools` can contain only functions", "unsupported_parameter")
    messages = _list(data, "messages")
    if not messages:
        raise invalid("`messages` must be a list of at least one message")
    for index, message in enumerate(messages):
        _check_message(index, message, media)
    return len(messages)


def _check_service_tier(data: dict[str, Any], price: Price) -> None:
    tier = data.get("service_tier")
    if tier is None or tier in ("auto", "default") or "service_tier" in price.parameters:
        return
    if not isinstance(tier, str) or tier not in price.service_tiers:
        known = ", ".join(["auto", "default", *sorted(price.service_tiers)])
        raise invalid(
            f"`service_tier` {shown(tier)} has no price, so its cost cannot be bounded; priced:"
            f" {known}",
            "unsupported_parameter",
        )


def _check_stream(data: dict[str, Any]) -> None:
    if not isinstance(data.get("stream"), bool | None):
        raise invalid("`stream` must be true or false")
    options = data.get("stream_options")
    if options is None:
        return
    if not isinstance(options, dict):
        raise invalid('`stream_options` must be an object, such as {"include_usage": true}')
    if not data.get("stream"):
        raise invalid("`stream_options` needs `stream: true`: send that, or leave it out")
    if unknown := set(options) - STREAM_OPTIONS:
        known = ", ".join(sorted(STREAM_OPTIONS))
        raise invalid(
            f"`stream_options.{shown_name(min(unknown))}` is not known here; known: {known}",
            "unsupported_parameter",
        )
    if not all(isinstance(value, bool | None) for value in options.values()):
        raise invalid("every option in `stream_options` must be true or false")


def _list(data: dict[str, Any], field: str) -> list[Any]:
    value = data.get(field)
    if value is not None and not isinstance(value, list):
        raise invalid(f"`{field}` must be a list")
    return value or []


def _check_message(index: int, message: Any, media: Media) -> None:
    path = f"messages[{index}]"
    if not isinstance(message, dict):
        raise invalid(f"`{path}` must be an object with a `role`; got {shown(message)}")
    if not isinstance(message.get("role"), str):
        raise invalid(f"`{path}.role` must be a string; got {shown(message.get('role'))}")
    for field in MAY_BE_TEXT:
        if field in message and not _is_text(message[field]):
            raise invalid(f"`{path}.{field}` must be a string; got {shown(message[field])}")
    if message.get("audio") is not None:
        raise invalid(f"only text can be bounded: `{path}.audio` is refused", "unsupported_content")
    content = message.get("content")
    if isinstance(content, list):
        thinks = message["role"] == "assistant"
        for number, part in enumerate(content):
            if not (thinks and isinstance(part, dict) and part.get("type") == "thinking"):
                _check_part(f"{path}.content[{number}]", part, media)
    elif not _is_text(content):
        raise invalid(f"`{path}.content` must be a string or a list of parts; got {shown(content)}")


def _is_text(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _check_part(path: str, part: Any, media: Media) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "image_url" or kind == "file":
        return media.add(path, part)
    if kind != "text" and kind != "refusal":
        raise invalid(
            "only text, images and files can be bounded: content parts must have the type `text`,"
            f" `image_url` or `file`; `{path}` is {shown(part)}",
            "unsupported_content",
        )
    if not isinstance(part.get(kind), str):
        raise invalid(f"`{path}.{kind}` must be a string; got {shown(part.get(kind))}")


def _max_tokens(data: dict[str, Any]) -> int | None:
    """The larger of the two fields that set this limit. Null counts as absent."""
    found = []
    for field in LIMITS:
        value = data.get(field)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_TOKENS:
            raise invalid(
                f"`{field}` must be a whole number from 1 to {MAX_TOKENS}; got {shown(value)}"
            )
        found.append(value)
    return max(found, default=None)
