"""Parses an embedding request and computes the upper bound of its cost: of its input only."""

import hashlib
from typing import Any

from durable_agent_team.gateway.api_error import ApiError, invalid, shown, shown_name
from durable_agent_team.gateway.calls.chat_request import (
    EMBEDDINGS_PATH,
    ChatRequest,
    find_model,
    read_object,
)
from durable_agent_team.gateway.json_bodies import dump
from durable_agent_team.gateway.models.model_table import ModelTable
from durable_agent_team.gateway.models.price import Price

KNOWN_FIELDS = frozenset({"model", "input", "encoding_format", "dimensions", "user"})
FORMATS = ("float", "base64")
MAX_TOKEN = 2**31
MAX_DIMENSIONS = 1_000_000


def parse_embedding_request(raw: bytes, models: ModelTable) -> ChatRequest:
    """Raises ApiError, naming the field, if the request is wrong or its cost cannot be bounded."""
    data = read_object(raw)
    target = find_model(data, models)
    if target.speaks == "messages":
        raise invalid(
            f"The model {target.name!r} is at the upstream {target.upstream}, which speaks"
            " Anthropic's Messages and makes no embeddings",
            "wrong_kind_of_model",
        )
    inputs = _check(data, target.price)
    written = dump(data, errors="strict")
    body_hash = hashlib.sha256(EMBEDDINGS_PATH.encode() + written).hexdigest()
    body = dump({**data, "model": target.upstream_model}, errors="strict")
    bound = _bound(target.price, len(body), inputs)
    return ChatRequest(
        target.name, target, target.price, body, body_hash, bound, path=EMBEDDINGS_PATH
    )


def _bound(price: Price, body_bytes: int, inputs: int) -> int:
    """In micro-USD. A text has no more tokens than bytes, and each token that is sent as a number
    takes a byte or more; a model reads no more than its context of each input."""
    prompt = body_bytes + inputs * price.message_tokens + price.request_tokens
    if price.context_tokens is not None:
        prompt = min(prompt, inputs * price.context_tokens)
    return price.most(prompt, 0)


def _check(data: dict[str, Any], price: Price) -> int:
    """Returns the number of inputs."""
    if unknown := set(data) - KNOWN_FIELDS - set(price.parameters):
        raise invalid(
            f"`{shown_name(min(unknown))}` is not known here, so what it costs cannot be bounded."
            " Leave it out, or add it to `parameters` in the model's price entry.",
            "unsupported_parameter",
        )
    if data.get("encoding_format") not in (None, *FORMATS):
        raise invalid(f"`encoding_format` must be one of {', '.join(FORMATS)}")
    dimensions = data.get("dimensions")
    whole = isinstance(dimensions, int) and not isinstance(dimensions, bool)
    if dimensions is not None and not (whole and 1 <= dimensions <= MAX_DIMENSIONS):
        raise invalid(f"`dimensions` must be a whole number from 1; got {shown(dimensions)}")
    if not isinstance(data.get("user"), str | None):
        raise invalid(f"`user` must be a string; got {shown(data['user'])}")
    return _inputs(data.get("input"))


def _inputs(value: Any) -> int:
    """A text, a list of texts, a list of tokens, or a list of such lists."""
    if isinstance(value, str):
        return 1
    if not isinstance(value, list) or not value:
        raise _wrong_input("input", value)
    if all(_is_token(each) for each in value):
        return 1
    for number, each in enumerate(value):
        tokens = isinstance(each, list) and each and all(map(_is_token, each))
        if not isinstance(each, str) and not tokens:
            raise _wrong_input(f"input[{number}]", each)
    return len(value)


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_TOKEN


def _wrong_input(path: str, value: Any) -> ApiError:
    return invalid(
        f"`{path}` must be a text, tokens (whole numbers), or a list of these; got {shown(value)}"
    )
