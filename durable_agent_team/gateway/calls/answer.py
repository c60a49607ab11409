"""What an upstream's response means: billed or not, how much, and what the agent gets to see."""

import json
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any, TypeGuard

from durable_agent_team.gateway.amounts import MICRO, usd
from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.stores.store import Cause

MAX_ERROR_TEXT = 2_000


@dataclass(frozen=True, slots=True)
class Billed:
    """An answer that is charged, stored and replayed."""

    prompt_tokens: int
    completion_tokens: int
    amount: int
    estimated: bool
    overrun: int
    status: int
    body: bytes
    tail: bytes = b""
    """Of a streamed answer: what the client gets when the charge is written, and not before."""


@dataclass(frozen=True, slots=True)
class Failed:
    """No charge; `cause` if the upstream may have billed it all the same."""

    error: ApiError
    cause: Cause | None = None


def judge(
    status: int, headers: dict[str, str], raw: bytes, request: ChatRequest
) -> Billed | Failed:
    """Well-formed or with usage: billed. Everything else gives the reservation back."""
    data = read_object(raw)
    usage = _usage(data)
    if data is not None and (usage is not None or (status == 200 and _has_choices(data))):
        return _bill(status, data, usage, request)
    if status == 200:
        what = "no choices and no usage" if data is not None else "no JSON object"
        message = f"The upstream answered 200 with {what}: {_text(raw)}"
        error = ApiError(502, "upstream_error", "malformed_upstream", message)
        return Failed(error, Cause.MALFORMED_ANSWER)
    return Failed(_error(status, headers, raw, data))


def read_object(raw: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _has_choices(data: dict[str, Any]) -> bool:
    choices = data.get("choices")
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(isinstance(c, dict) and isinstance(c.get("message"), dict) for c in choices)
    )


def _usage(data: dict[str, Any] | None) -> tuple[int, int] | None:
    return None if data is None else usage_of(data, _says_something(data))


def usage_of(data: dict[str, Any], says_something: bool) -> tuple[int, int] | None:
    """Tokens in and out, if both are believable: nobody answers from, or with, nothing."""
    usage = data.get("usage")
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not _is_count(prompt) or not _is_count(completion) or prompt == 0:
        return None
    if completion == 0 and says_something:
        return None
    return prompt, completion


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12


def _says_something(data: dict[str, Any]) -> bool:
    if not _has_choices(data):
        return False
    messages = [choice["message"] for choice in data["choices"]]
    return any(message.get("content") or message.get("tool_calls") for message in messages)


def _bill(
    status: int, data: dict[str, Any], usage: tuple[int, int] | None, request: ChatRequest
) -> Billed:
    charge = assess(data, usage, request)
    told = {**without_cost(data), "usage": charge.shown}
    return charge.billed(shown_status(status), dump(told))


@dataclass(frozen=True, slots=True)
class Assessment:
    """What an answer is charged. `shown` is its `usage`, as the agent gets to see it."""

    usage: tuple[int, int] | None
    amount: int
    overrun: int
    shown: dict[str, Any]

    def billed(self, status: int, body: bytes, tail: bytes = b"") -> Billed:
        prompt, completion = self.usage or (0, 0)
        estimated = self.usage is None
        return Billed(prompt, completion, self.amount, estimated, self.overrun, status, body, tail)


def assess(data: dict[str, Any], usage: tuple[int, int] | None, request: ChatRequest) -> Assessment:
    """The price file's price, or what the upstream says it cost if that is more."""
    reported = data["usage"] if isinstance(data.get("usage"), dict) else {}
    own = request.bound if usage is None else request.price.cost(*usage)
    amount = max(own, _upstream_cost(data))
    overrun = max(0, amount - request.bound)
    amount -= overrun
    shown = {**without_cost(reported), "cost": usd(amount)}
    if usage is None:
        shown["estimated"] = True
    return Assessment(usage, amount, overrun, shown)


def dump(data: dict[str, Any]) -> bytes:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="replace")


def _upstream_cost(data: dict[str, Any]) -> int:
    """Micro-USD, rounded up; zero if it does not say, or says zero."""
    usage = data["usage"] if isinstance(data.get("usage"), dict) else {}
    cascade = _cascade(data)
    for value in (
        cascade.get("cost_usd"),
        data.get("cost_usd"),
        data.get("cost"),
        usage.get("cost"),
        usage.get("cost_usd"),
    ):
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            try:
                micro = Decimal(str(value)) * MICRO
                cost = int(micro.to_integral_value(ROUND_CEILING))
            except (InvalidOperation, ValueError, OverflowError):
                continue
            if 0 < cost < 10**15:
                return cost
    return 0


def _cascade(data: dict[str, Any]) -> dict[str, Any]:
    meta = data.get("_meta")
    cascade = meta.get("cascade") if isinstance(meta, dict) else None
    return cascade if isinstance(cascade, dict) else {}


def without_cost(part: dict[str, Any]) -> dict[str, Any]:
    """What the upstream says it cost its operator is not what the account is charged: a client
    that read it would contradict the ledger."""
    kept = {name: value for name, value in part.items() if name not in ("cost", "cost_usd")}
    if _cascade(kept):
        cascade = {name: each for name, each in _cascade(kept).items() if name != "cost_usd"}
        kept["_meta"] = {**kept["_meta"], "cascade": cascade}
    return kept


def shown_status(status: int) -> int:
    """401 to 403 speak of the operator's key and bill at the upstream, not of the agent's."""
    return 502 if status in (401, 402, 403) or (status < 400 and status != 200) else status


def _error(
    status: int, headers: dict[str, str], raw: bytes, data: dict[str, Any] | None
) -> ApiError:
    """The upstream's error with its status, unless the agent would take it for its own."""
    shown = shown_status(status)
    passed = {}
    if "retry-after" in headers and shown in (429, 503):
        passed["Retry-After"] = headers["retry-after"]
    code, text = _said(raw, data)
    return ApiError(
        shown,
        "upstream_error",
        code or f"upstream_{status}",
        f"The upstream answered {status}: {text}",
        {"upstream_status": status},
        passed,
    )


def stream_error(raw: bytes, data: dict[str, Any]) -> ApiError:
    """An error in a stream that had begun with 200. Some upstreams put a status in its code."""
    inner = data.get("error")
    status = inner.get("code") if isinstance(inner, dict) else None
    known = status if isinstance(status, int) and 400 <= status < 600 else None
    code, text = _said(raw, data)
    return ApiError(
        shown_status(known or 502),
        "upstream_error",
        code or (f"upstream_{known}" if known else "upstream_stream_error"),
        f"The upstream's stream ended with an error: {text}",
    )


def _said(raw: bytes, data: dict[str, Any] | None) -> tuple[str | None, str]:
    """The code, if the upstream's error has one, and its text."""
    inner = (data or {}).get("error")
    code = inner.get("code") if isinstance(inner, dict) else None
    said = inner.get("message") if isinstance(inner, dict) else inner
    text = _text(said.encode(errors="replace") if isinstance(said, str) else raw)
    if isinstance(inner, dict) and inner.get("type") == "exceed_context_size_error":
        code = "context_length_exceeded"  # llama.cpp's word for it
    return code if isinstance(code, str) else None, text


def _text(raw: bytes) -> str:
    text = raw.decode(errors="replace").strip()
    return text if len(text) <= MAX_ERROR_TEXT else text[:MAX_ERROR_TEXT] + "…"
