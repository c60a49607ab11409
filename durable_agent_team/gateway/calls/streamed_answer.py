"""What a streamed answer means, chunk by chunk: what goes on, what is held back, what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from durable_agent_team.gateway.amounts import usd_text
from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.answer import (
    Assessment,
    Billed,
    Failed,
    assess,
    dump,
    judge,
    read_object,
    shown_status,
    stream_error,
    usage_of,
    without_cost,
)
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.relay import Relay
from durable_agent_team.gateway.calls.sse import DONE, Event, Parser, comment, event
from durable_agent_team.gateway.stores.store import Cause

COSTS = frozenset({"usage", "cost", "cost_usd", "_meta"})
SPOKEN = ("content", "tool_calls", "function_call", "refusal", "reasoning_content", "reasoning")
MAX_EVENT_BYTES = 4 * 1024 * 1024


@dataclass
class Transcript:
    """One answer while it comes. Chunks go to the relay at once; the usage goes to `ended`."""

    request: ChatRequest
    relay: Relay
    over: bool = False
    """Nothing more is passed on; a usage that still comes counts."""
    _parser: Parser = field(default_factory=Parser)
    _first: dict[str, Any] = field(default_factory=dict)
    _told: dict[str, Any] = field(default_factory=dict)
    _answered: bool = False
    _spoke: bool = False
    _finished: bool = False
    _done: bool = False
    _failure: Failed | None = None

    def feed(self, piece: bytes) -> None:
        for each in self._parser.feed(piece):
            self._take(each)
        if self._parser.unfinished_bytes > MAX_EVENT_BYTES and not self.over:
            self._malformed(f"an event of more than {MAX_EVENT_BYTES} bytes")

    def end_of_stream(self) -> None:
        for each in self._parser.finish():
            self._take(each)

    def _take(self, each: Event) -> None:
        if each.comment is not None:
            if not self.over:
                self.relay.add(comment(each.comment), lasting=False)
        elif each.data.strip() == DONE:
            self._done = self._done or not self.over
            self.over = True
        else:
            self._take_chunk(each)

    def _take_chunk(self, each: Event) -> None:
        data = read_object(each.data)
        if data is None:
            if not self.over:
                self._malformed(f"a chunk that is no JSON object: {each.data[:200]!r}")
            return
        costs = COSTS & data.keys()
        self._told |= {name: data[name] for name in costs if data[name]}
        if self.over:
            return
        if data.get("error") or each.name == b"error":
            self.over = True
            cause = Cause.UPSTREAM_BROKE_OFF if self._answered else None
            self._failure = Failed(stream_error(each.data, data), cause)
        else:
            self._pass_on(each.data, data, costs)

    def _pass_on(self, raw: bytes, data: dict[str, Any], costs: frozenset[str]) -> None:
        choices = data.get("choices") or []
        if not _well_formed(choices):
            self._malformed(f"a chunk with choices that are none: {raw[:200]!r}")
            return
        self._first = self._first or data
        self._note(choices)
        if data.get("usage") and not choices:
            return  # ours comes in its place, when the charge is written
        wants_null = self.request.include_usage
        if costs and not (wants_null and costs == {"usage"} and data["usage"] is None):
            shown = without_cost(data)
            shown.pop("usage", None)
            raw = dump({**shown, "usage": None} if wants_null else shown)
        elif b"\n" in raw:  # an event of several lines
            raw = dump(data)
        self.relay.add(event(raw))

    def _note(self, choices: list[dict[str, Any]]) -> None:
        for choice in choices:
            delta = choice.get("delta")
            if delta is not None:
                self._answered = True
                self._spoke = self._spoke or any(delta.get(name) for name in SPOKEN)
            if choice.get("finish_reason") not in (None, "", "error"):
                self._finished = True

    def _malformed(self, what: str) -> None:
        self.over = True
        message = f"The upstream's stream held {what}"
        error = ApiError(502, "upstream_error", "malformed_upstream", message)
        self._failure = Failed(error, Cause.MALFORMED_ANSWER)

    def ended(self, failure: Failed | None = None, *, cut: bool = False) -> Billed | Failed:
        """The judgement. `failure` is how the connection ended; `cut` that the gateway ended it:
        what the client was given until then is not free."""
        usage = usage_of(self._told, self._spoke)
        charge = assess(self._told, usage, self.request)
        if self._finished or (self._done and (self._answered or usage)):
            return charge.billed(200, b"", tail(self.request, self._first, charge.shown))
        failure = self._failure or failure or self._unfinished()
        given = cut and self._failure is None and self._spoke
        if usage is None and not given:
            return failure
        return charge.billed(shown_status(failure.error.status), failed_body(failure.error, charge))

    def _unfinished(self) -> Failed:
        if self._done:
            message = "The upstream's stream held no choices and no usage"
            error = ApiError(502, "upstream_error", "malformed_upstream", message)
            return Failed(error, Cause.MALFORMED_ANSWER)
        message = "The upstream's stream ended before its answer was whole"
        error = ApiError(502, "upstream_error", "upstream_broke_off", message)
        return Failed(error, Cause.UPSTREAM_BROKE_OFF)


def _well_formed(choices: Any) -> bool:
    return isinstance(choices, list) and all(
        isinstance(choice, dict) and isinstance(choice.get("delta"), dict | None)
        for choice in choices
    )


def failed_body(error: ApiError, charge: Assessment) -> bytes:
    """An answer that broke off and was billed all the same: the error, and what it cost."""
    how = "" if charge.usage else ", its upper bound, as its usage is not known"
    message = (
        f"{error.message}. It was charged {usd_text(charge.amount)} USD{how}. The same"
        " Idempotency-Key gets this error again; a new one pays for a new call."
    )
    told = read_object(replace(error, message=message).body()) or {}
    return dump({**told, "usage": charge.shown})


def tail(request: ChatRequest, first: Mapping[str, Any], usage: dict[str, Any]) -> bytes:
    """The end of a stream: the chunk with the usage, if the client asked for it, and `[DONE]`."""
    done = event(DONE)
    if not request.include_usage:
        return done
    kept = {name: first[name] for name in ("id", "created", "model") if name in first}
    chunk = {"object": "chat.completion.chunk", **kept, "choices": [], "usage": usage}
    return event(dump(chunk)) + done


def from_plain(
    status: int, headers: dict[str, str], raw: bytes, request: ChatRequest, relay: Relay
) -> Billed | Failed:
    """An answer that did not come as a stream: an error, or the whole answer in one piece, which
    then goes on as a stream of one chunk."""
    judged = judge(status, headers, raw, request)
    if isinstance(judged, Failed) or judged.status != 200:
        return judged
    data = read_object(judged.body) or {}
    usage = data.pop("usage", {})
    choices = data.get("choices")
    if isinstance(choices, list) and choices:
        data["choices"] = [_as_delta(choice) for choice in choices]
        shown = {**data, "object": "chat.completion.chunk"}
        if request.include_usage:
            shown["usage"] = None
        relay.add(event(dump(shown)))
    return replace(judged, body=b"", tail=tail(request, data, usage))


def _as_delta(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    message = choice.get("message")
    delta = dict(message) if isinstance(message, dict) else {}
    calls = delta.get("tool_calls")
    if isinstance(calls, list):
        delta["tool_calls"] = [
            {"index": number, **call} if isinstance(call, dict) else call
            for number, call in enumerate(calls)
        ]
    return {**{name: value for name, value in choice.items() if name != "message"}, "delta": delta}
