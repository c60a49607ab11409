"""What an upstream's response means: whether it is billed, what is charged, what the agent gets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from durable_agent_team.gateway.amounts import MAX_MICRO, usd, usd_text
from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.upstream_cost import reported_cost, without_upstream_cost
from durable_agent_team.gateway.calls.upstream_json import upstream_object
from durable_agent_team.gateway.json_bodies import dump
from durable_agent_team.gateway.stores.store import InterruptionCause

MAX_ERROR_TEXT = 2_000
MAX_ERROR_CODE = 100
RETRY_AFTER = re.compile(r"[0-9A-Za-z][0-9A-Za-z:,. ]{0,39}", re.ASCII)
"""Seconds or a date. Any other text could contain what a header must not."""


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
    """A well-formed answer, or one with usage, is billed; any other is a failed call."""
    data = upstream_object(raw)
    usage = _usage(data)
    if data is not None and (usage is not None or (status == 200 and _has_choices(data))):
        return _bill(status, headers, data, usage, request)
    if status == 200:
        what = (
            "no choices and no usage" if data is not None else "something that is not a JSON object"
        )
        message = f"The upstream answered 200 with {what}: {_bounded_text(raw)}"
        error = ApiError(502, "upstream_error", "malformed_upstream", message)
        return FailedCall(error, InterruptionCause.MALFORMED_ANSWER)
    return FailedCall(_upstream_error(status, headers, raw, data))


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
    status: int,
    headers: Mapping[str, str],
    data: dict[str, Any],
    usage: tuple[int, int] | None,
    request: ChatRequest,
) -> BilledAnswer:
    """An answer with another status than 200 is an error that was billed."""
    charge = compute_charge(data, usage, request)
    shown = without_upstream_cost(data)
    if status != 200:
        shown["error"] = _upstream_error(status, headers, dump(shown), data).fields()
    return charge.billed(client_status(status), dump({**shown, "usage": charge.shown_usage}))


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


def client_status(status: int) -> int:
    """The status for the agent. 401 to 403 are about the operator's key and account, so they become
    502, as does what is not the status of an error."""
    if status == 200:
        return 200
    return status if 400 <= status < 600 and status not in (401, 402, 403) else 502


def _upstream_error(
    status: int, headers: Mapping[str, str], raw: bytes, data: dict[str, Any] | None
) -> ApiError:
    """The upstream's error with the status for the agent."""
    shown = client_status(status)
    passed = {}
    if shown in (429, 503) and RETRY_AFTER.fullmatch(headers.get("retry-after", "")):
        passed["Retry-After"] = headers["retry-after"]
    code, text = _code_and_text(raw, data)
    return ApiError(
        shown,
        "upstream_error",
        code or f"upstream_{status}",
        f"The upstream answered {status}: {text}",
        {"upstream_status": status},
        passed,
    )


def stream_error(raw: bytes, data: dict[str, Any]) -> ApiError:
    """An error in a stream that began with status 200. Some upstreams put a status in its code."""
    inner = data.get("error")
    status = inner.get("code") if isinstance(inner, dict) else None
    known = status if isinstance(status, int) and 400 <= status < 600 else None
    code, text = _code_and_text(raw, data)
    return ApiError(
        client_status(known or 502),
        "upstream_error",
        code or (f"upstream_{known}" if known else "upstream_stream_error"),
        f"The upstream's stream ended with an error: {text}",
    )


def _code_and_text(raw: bytes, data: dict[str, Any] | None) -> tuple[str | None, str]:
    """The code of the upstream's error, if it has one, and its text."""
    inner = (data or {}).get("error")
    code = inner.get("code") if isinstance(inner, dict) else None
    message = inner.get("message") if isinstance(inner, dict) else inner
    text = _bounded_text(message.encode(errors="replace") if isinstance(message, str) else raw)
    if isinstance(inner, dict) and inner.get("type") == "exceed_context_size_error":
        code = "context_length_exceeded"  # the code of llama.cpp
    return _error_code(code), text


def _error_code(code: Any) -> str | None:
    if not isinstance(code, str) or not code.strip():
        return None
    return code.encode(errors="replace").decode()[:MAX_ERROR_CODE]


def _bounded_text(raw: bytes) -> str:
    text = raw.decode(errors="replace").strip()
    return text if len(text) <= MAX_ERROR_TEXT else text[:MAX_ERROR_TEXT] + "…"
