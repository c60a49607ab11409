"""What an upstream's response means: whether it is billed, what is charged, what the agent gets."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from durable_agent_team.gateway.amounts import MAX_MICRO, usd, usd_text
from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.upstream_cost import reported_cost, without_upstream_cost
from durable_agent_team.gateway.calls.upstream_errors import bounded_text, response_error
from durable_agent_team.gateway.calls.upstream_json import upstream_value
from durable_agent_team.gateway.json_bodies import dump
from durable_agent_team.gateway.stores.store import InterruptionCause


@dataclass(frozen=True, slots=True)
class BilledAnswer:
    """An answer that is charged, stored and replayed."""

    prompt_tokens: int
    completion_tokens: int
    amount: int
    estimated: bool
    overrun: int
    status: int
    body: bytes
    tail: bytes = b""
    """The end of a streamed answer. It is sent only after the charge was written."""


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
    usage = _usage(data)
    has_content = data is not None and _has_content(data)
    error = response_error(status, headers, raw, value, has_content=has_content)
    if data is not None and (usage is not None or _is_answer(status, data, error)):
        return _bill(data, usage, request, error)
    if error is not None:
        return FailedCall(error)
    what = "no choices and no usage" if data is not None else "something that is not a JSON object"
    message = f"The upstream answered 200 with {what}: {bounded_text(raw)}"
    malformed = ApiError(502, "upstream_error", "malformed_upstream", message)
    return FailedCall(malformed, InterruptionCause.MALFORMED_ANSWER)


def _is_answer(status: int, data: dict[str, Any], error: ApiError | None) -> bool:
    """Whether a response without usage is billed: it has content, or no error instead of it."""
    return status == 200 and _has_choices(data) and (error is None or _has_content(data))


def _has_choices(data: dict[str, Any]) -> bool:
    choices = data.get("choices")
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(isinstance(c, dict) and isinstance(c.get("message"), dict) for c in choices)
    )


def _usage(data: dict[str, Any] | None) -> tuple[int, int] | None:
    return None if data is None else valid_usage(data, _has_content(data))


def valid_usage(data: dict[str, Any], has_content: bool) -> tuple[int, int] | None:
    """Prompt and completion tokens; None unless both are plausible: neither a prompt nor an answer
    with content has 0 tokens."""
    usage = data.get("usage")
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not _is_count(prompt) or not _is_count(completion) or prompt == 0:
        return None
    if completion == 0 and has_content:
        return None
    return prompt, completion


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12


def _has_content(data: dict[str, Any]) -> bool:
    if not _has_choices(data):
        return False
    messages = [choice["message"] for choice in data["choices"]]
    return any(message.get("content") or message.get("tool_calls") for message in messages)


def _bill(
    data: dict[str, Any],
    usage: tuple[int, int] | None,
    request: ChatRequest,
    error: ApiError | None,
) -> BilledAnswer:
    """`error`: that of an answer that was billed though it failed."""
    charge = compute_charge(data, usage, request)
    shown = without_upstream_cost(data)
    if error is not None:
        shown["error"] = error.fields()
    status = 200 if error is None else error.status
    return charge.billed(status, dump({**shown, "usage": charge.shown_usage}))


@dataclass(frozen=True, slots=True)
class AnswerCharge:
    """What an answer is charged. `shown_usage` is the `usage` that the agent gets."""

    usage: tuple[int, int] | None
    amount: int
    overrun: int
    estimated: bool
    shown_usage: dict[str, Any]

    def billed(self, status: int, body: bytes, tail: bytes = b"") -> BilledAnswer:
        prompt, completion = self.usage or (0, 0)
        return BilledAnswer(
            prompt, completion, self.amount, self.estimated, self.overrun, status, body, tail
        )


def compute_charge(
    data: dict[str, Any], usage: tuple[int, int] | None, request: ChatRequest
) -> AnswerCharge:
    """The price by the price file, or the cost that the upstream reports if that is more. The
    bound, marked as estimated, if one of the two cannot be believed."""
    reported = data["usage"] if isinstance(data.get("usage"), dict) else {}
    own = None if usage is None else request.price.cost(*usage)
    cost = reported_cost(data)
    estimated = own is None or own > MAX_MICRO or cost is None
    amount = request.bound if estimated else own or 0
    amount = max(amount, cost or 0)
    overrun = max(0, amount - request.bound)
    amount -= overrun
    shown = {**without_upstream_cost(reported), "cost": usd(amount)}
    if estimated:
        shown["estimated"] = True
    return AnswerCharge(usage, amount, overrun, estimated, shown)
