"""What an upstream's response means: whether it is billed, what is charged, what the agent gets."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from durable_agent_team.gateway.amounts import usd, usd_text
from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.answer_shapes import usual_answer
from durable_agent_team.gateway.calls.charge import (
    AnswerCharge,
    BilledAnswer,
    ReportedUsage,
    compute_charge,
    without_usage,
)
from durable_agent_team.gateway.calls.chat_request import EMBEDDINGS_PATH, ChatRequest
from durable_agent_team.gateway.calls.foreign_formats import foreign_error
from durable_agent_team.gateway.calls.tool_call_ids import fill_ids
from durable_agent_team.gateway.calls.upstream_errors import (
    bounded_text,
    is_success,
    response_error,
)
from durable_agent_team.gateway.calls.upstream_json import upstream_value
from durable_agent_team.gateway.json_bodies import dump
from durable_agent_team.gateway.stores.store import InterruptionCause

CONTENT_FIELDS = (
    "content",
    "tool_calls",
    "function_call",
    "refusal",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "thinking_blocks",
)
"""Fields of a message or a delta that hold what a model has written and its provider counts."""


@dataclass(frozen=True, slots=True)
class FailedCall:
    """A call without a charge. `cause` is set if the upstream may have billed it anyway."""

    error: ApiError
    cause: InterruptionCause | None = None


UpstreamResult = BilledAnswer | FailedCall


def possibly_billed(error: ApiError, bound: int) -> ApiError:
    """The error of a call that the upstream may have billed: it says so, and with which bound."""
    message = (
        f"{error.message.rstrip('.')}. This call may have been billed to the operator, for at most"
        f" {usd_text(bound)} USD; making it again is another call"
    )
    extra = {**error.extra, "possibly_billed_usd": usd(bound)}
    return replace(error, message=message, extra=extra)


def interpret_response(
    status: int, headers: Mapping[str, str], raw: bytes, request: ChatRequest
) -> UpstreamResult:
    """A well-formed answer, or one with usage, is billed; any other is a failed call. An error
    inside a 200 is read like any other: without usage and content, it was not billed."""
    value = upstream_value(raw)
    data = value if isinstance(value, dict) else None
    if data is not None and is_success(status):
        usual_answer(data, functions=request.functions)
    has_content = data is not None and _has_content(data)
    reported = ReportedUsage()
    reported.add(data or {})
    usage = reported.valid(data is not None and _has_any(data, CONTENT_FIELDS))
    error = response_error(status, headers, raw, value, has_content=has_content)
    foreign = None if data is None else foreign_error(data, f"The upstream answered {status}")
    error = error or foreign
    embedded = request.path == EMBEDDINGS_PATH and _has_embeddings(data)
    is_answer = embedded and is_success(status)
    if data is not None and (usage is not None or is_answer or _is_answer(status, data, error)):
        fill_ids(data, request.body_hash)
        return _bill(data, compute_charge(reported, usage, request), error)
    if error is not None:
        return FailedCall(error, InterruptionCause.MALFORMED_ANSWER if error is foreign else None)
    what = "no choices and no usage" if data is not None else "something that is not a JSON object"
    message = f"The upstream answered {status} with {what}: {bounded_text(raw)}"
    malformed = ApiError(502, "upstream_error", "malformed_upstream", message)
    return FailedCall(malformed, InterruptionCause.MALFORMED_ANSWER)


def _is_answer(status: int, data: dict[str, Any], error: ApiError | None) -> bool:
    """Whether a response without usage is billed: it has content, or no error instead of it."""
    return is_success(status) and _has_choices(data) and (error is None or _has_content(data))


def _has_embeddings(data: dict[str, Any] | None) -> bool:
    listed = data.get("data") if data is not None else None
    return isinstance(listed, list) and bool(listed) and all(isinstance(e, dict) for e in listed)


def _has_choices(data: dict[str, Any]) -> bool:
    choices = data.get("choices")
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(isinstance(c, dict) and isinstance(c.get("message"), dict) for c in choices)
    )


def _has_content(data: dict[str, Any]) -> bool:
    return _has_any(data, ("content", "tool_calls"))


def _has_any(data: dict[str, Any], names: Collection[str]) -> bool:
    if not _has_choices(data):
        return False
    messages = [choice["message"] for choice in data["choices"]]
    return any(message.get(name) for message in messages for name in names)


def _bill(data: dict[str, Any], charge: AnswerCharge, error: ApiError | None) -> BilledAnswer:
    """`error`: that of an answer that was billed though it failed."""
    shown = without_usage(data)
    if error is not None:
        shown["error"] = error.fields()
    status = 200 if error is None else error.status
    return charge.billed(status, dump({**shown, "usage": charge.shown_usage}))
