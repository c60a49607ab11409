"""Parses payloads from outside into contracts. A wrong one is a `BadMessage`, never a crash.

A typed handler silently drops a wrong payload, and fails the workflow task forever on a missing or
an additional argument. So handlers take any payload, and parse it here.
"""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)


class BadMessage(Exception):
    """A payload that does not fit its contract. The message is meant for the sender."""


def parse(model: type[M], payload: Any, extra: tuple[Any, ...] = ()) -> M:
    """The payload as `model`; no payload at all counts as an empty object. Raises BadMessage."""
    if extra:
        raise BadMessage(f"one argument is expected, got {1 + len(extra)}")
    if payload is None:
        payload = {}
    if not isinstance(payload, dict):
        raise BadMessage(f"a JSON object is expected, got {_shown(payload)}")
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        raise BadMessage("; ".join(_sentence(each) for each in error.errors()[:20])) from None


def _sentence(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"]) or "the payload"
    kind = error["type"]
    if kind == "union_tag_not_found":
        return f"{_discriminator(error)}: missing"
    if kind == "union_tag_invalid":
        tag, tags = _shown(error["ctx"]["tag"]), error["ctx"]["expected_tags"]
        return f"{_discriminator(error)} = {tag}: one of {tags} is expected"
    if kind == "missing":
        return f"{place}: missing"
    if kind in ("nothing_to_change", "null_is_no_value"):
        return str(error["msg"])
    if kind == "extra_forbidden":
        return f"{place}: no such key"
    return f"{place} = {_shown(error['input'])}: {error['msg']}"


def _discriminator(error: Any) -> str:
    return str(error["ctx"]["discriminator"]).strip("'")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
