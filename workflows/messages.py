"""Parses payloads from outside into contracts. A wrong one is a `BadMessage`, never a crash.

A typed handler silently drops a wrong payload, and fails the workflow task forever on a missing or
an additional argument. So handlers take any payload, and parse it here.
"""

from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from temporalio import workflow

from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.control import Adjustment
from durable_agent_team.contracts.tool_kinds import SECRET_KEYS
from durable_agent_team.rules.value_limits import MESSAGE, ValueLimits, value_problem

with workflow.unsafe.imports_passed_through():  # the class of which the converter makes objects
    from durable_agent_team.contracts.undecodable import Undecodable

MAX_LISTED = 20
MAX_COUNTED = 5_000
"""Pydantic can only list all errors or none, and more than this take too long."""
MAX_PLACE = 200
MAX_SENTENCE = 400
MAX_MESSAGE = 2_000

KINDS = frozenset(
    kind
    for each in get_args(Adjustment.model_fields["root"].annotation)
    for kind in get_args(each.model_fields["kind"].annotation)
)
"""The kinds of the signal `adjust`, named after the updates."""

M = TypeVar("M", bound=BaseModel)


class BadMessage(Exception):
    """A payload that does not fit its contract. The message is meant for the sender."""


def no_such_signal(name: str) -> str:
    """What a signal is answered that a run does not have.

    >>> no_such_signal("approve")
    'no such signal; send the update `approve`, or the signal `adjust` with "kind": "approve"'
    """
    if name in KINDS:
        instead = f'the update `{name}`, or the signal `adjust` with "kind": "{name}"'
        return f"no such signal; send {instead}"
    return "no such signal; a run takes `cancel`, `pause`, `resume` and `adjust`"


def parse(
    model: type[M], payload: Any, extra: tuple[Any, ...] = (), limits: ValueLimits = MESSAGE
) -> M:
    """The payload as `model`; no payload at all counts as an empty object. Raises BadMessage."""
    if extra:
        raise BadMessage(f"one argument is expected, got {1 + len(extra)}")
    if payload is None:
        payload = {}
    if isinstance(payload, Undecodable):
        raise BadMessage(f"a JSON object is expected, got something else ({payload.reason})")
    if not isinstance(payload, dict):
        raise BadMessage(f"a JSON object is expected, got {_shown(payload)}")
    problem = value_problem(payload, limits)
    if problem is not None:
        raise BadMessage(problem)
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        raise BadMessage(_sentences(error)) from None


def _sentences(error: ValidationError) -> str:
    count = error.error_count()
    if count > MAX_COUNTED:
        return f"the payload: {count} keys and values are wrong (compare it with its contract)"
    listed = error.errors(include_url=False)[:MAX_LISTED]
    return cut("; ".join(cut(_sentence(each), MAX_SENTENCE) for each in listed), MAX_MESSAGE)


def _sentence(error: Any) -> str:
    place = cut(".".join(str(part) for part in error["loc"]), MAX_PLACE) or "the payload"
    kind = error["type"]
    if kind == "union_tag_not_found":
        return f"{_discriminator(error)}: missing"
    if kind == "union_tag_invalid":
        tag, tags = _shown(error["ctx"]["tag"]), error["ctx"]["expected_tags"]
        return f"{_discriminator(error)} = {tag}: one of {tags} is expected"
    if kind == "missing":
        return f"{place}: missing"
    if kind in ("nothing_to_change", "null_is_no_value", "result_and_decision"):
        return str(error["msg"])
    if kind == "extra_forbidden":
        return f"{place}: no such key"
    if not SECRET_KEYS.isdisjoint(error["loc"]):
        return f"{place}: {error['msg']}"
    return f"{place} = {_shown(error['input'])}: {error['msg']}"


def _discriminator(error: Any) -> str:
    return str(error["ctx"]["discriminator"]).strip("'")


def _shown(value: Any) -> str:
    text = repr(value[:100] if isinstance(value, str | bytes) else value)
    return text if len(text) <= 100 else f"{text[:97]}..."
