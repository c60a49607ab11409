"""Interprets a streamed answer chunk by chunk: what is passed on, what is not, what it costs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from durable_agent_team.gateway.amounts import usd_text
from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.answer import (
    CONTENT_FIELDS,
    FailedCall,
    UpstreamResult,
    interpret_response,
)
from durable_agent_team.gateway.calls.answer_shapes import usual_chunk
from durable_agent_team.gateway.calls.charge import (
    AnswerCharge,
    ReportedUsage,
    compute_charge,
    reports_cost,
    without_usage,
)
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.foreign_formats import foreign_error
from durable_agent_team.gateway.calls.relay import Relay
from durable_agent_team.gateway.calls.secret_filter import SecretFilter
from durable_agent_team.gateway.calls.sse import DONE, Event, EventParser, apart, comment, event
from durable_agent_team.gateway.calls.tool_call_ids import StreamedIds
from durable_agent_team.gateway.calls.upstream_errors import bad_ending, chunk_error, client_status
from durable_agent_team.gateway.calls.upstream_json import upstream_object, upstream_value
from durable_agent_team.gateway.json_bodies import dump
from durable_agent_team.gateway.models.token_usage import TokenUsage
from durable_agent_team.gateway.stores.store import InterruptionCause
from durable_agent_team.providers.error_body import ends_badly

HEARTBEAT = b"ping"
"""The name of an event without an answer's part, as Anthropic sends it."""
UNUSUAL = re.compile(r"\\u[dD]|NaN|Infinity|[0-9]{19}|[0-9][eE][+-]?[0-9]{3}|\ufeff|[\x00-\x1f]")
MAX_EVENT_BYTES = 4 * 1024 * 1024


@dataclass
class StreamedAnswer:
    """One answer while it arrives. Chunks go to the relay at once; `result` returns the charge."""

    request: ChatRequest
    relay: Relay
    secrets: SecretFilter = field(default_factory=SecretFilter)
    headers: Mapping[str, str] = field(default_factory=dict)
    """Those of the upstream's response."""
    over: bool = False
    """Nothing more is passed on, but usage that still arrives counts."""
    _parser: EventParser = field(default_factory=EventParser)
    _first_chunk: dict[str, Any] = field(default_factory=dict)
    _reported: ReportedUsage = field(default_factory=ReportedUsage)
    _has_delta: bool = False
    _has_content: bool = False
    _finished: bool = False
    _done: bool = False
    _failure: FailedCall | None = None
    _is_foreign: bool = False
    """Nothing is passed on, but it is read to its end, where its usage is."""
    _ids: StreamedIds = field(init=False)

    def __post_init__(self) -> None:
        self._ids = StreamedIds(self.request.body_hash)

    def feed(self, piece: bytes) -> None:
        for each in self._parser.feed(piece):
            self._handle_events(each)
        if self._parser.unfinished_bytes > MAX_EVENT_BYTES and not self.over:
            self._malformed(f"an event of more than {MAX_EVENT_BYTES} bytes")

    def end_of_stream(self) -> None:
        for each in self._parser.finish():
            self._handle_events(each)

    def _handle_events(self, event: Event) -> None:
        for each in apart(event) if b"\n" in event.data else (event,):
            self._handle_event(each)

    def _handle_event(self, each: Event) -> None:
        if each.comment is not None or each.name == HEARTBEAT:
            if not self.over:
                text = self.secrets.body(each.comment or HEARTBEAT)
                self.relay.add(comment(text), stored=False)
        elif each.data.strip() == DONE:
            self._done = self._done or not self.over
            self.over = True
        else:
            self._handle_chunk(replace(each, data=self.secrets.body(each.data)))

    def _handle_chunk(self, each: Event) -> None:
        value = upstream_value(each.data)
        data = value if isinstance(value, dict) else {}
        self._reported.add(data)
        if self.over or self._is_foreign:
            return
        if error := chunk_error(each.data, value, each.name, self.headers):
            self.over = True
            self._fail(error)
        elif not isinstance(value, dict):
            self._malformed(f"a chunk that is not a JSON object: {each.data[:200]!r}")
        elif error := foreign_error(data, "The upstream streamed"):
            self._is_foreign = True
            self._failure = FailedCall(error, InterruptionCause.MALFORMED_ANSWER)
        else:
            self._pass_on(each.data, data)
            if not self.over and (error := bad_ending(each.data, data, self.headers)):
                self._fail(error)

    def _fail(self, error: ApiError) -> None:
        """With text, the upstream may have billed what it sent until then."""
        cause = InterruptionCause.UPSTREAM_BROKE_OFF if self._has_content else None
        self._failure = FailedCall(error, cause)

    def _pass_on(self, raw: bytes, data: dict[str, Any]) -> None:
        choices = data.get("choices") or []
        if not _well_formed(choices):
            self._malformed(f"a chunk with malformed choices: {raw[:200]!r}")
            return
        self._first_chunk = self._first_chunk or data
        changed = usual_chunk(choices, functions=self.request.functions)
        self._observe(choices)
        changed |= self._ids.fill(choices)
        if data.get("usage") and not choices:
            return  # the tail has our own, once the charge is written
        wants_null = self.request.include_usage
        is_null = wants_null and "usage" in data and data["usage"] is None
        rest = {name: data[name] for name in data if name != "usage"} if is_null else data
        if reports_cost(rest):
            shown = without_usage(data)
            raw = dump({**shown, "usage": None} if wants_null else shown)
        elif changed or not _is_plain(raw):
            raw = dump(data)
        self.relay.add(event(raw))

    def _observe(self, choices: list[dict[str, Any]]) -> None:
        for choice in choices:
            delta = choice.get("delta")
            if delta:
                self._has_delta = True
                self._has_content = self._has_content or any(
                    delta.get(name) for name in CONTENT_FIELDS
                )
            if choice.get("finish_reason") not in (None, ""):
                self._finished = not ends_badly({"choices": [choice]})

    def _malformed(self, what: str) -> None:
        self.over = True
        message = f"The upstream's stream contained {what}"
        error = ApiError(502, "upstream_error", "malformed_upstream", message)
        self._failure = FailedCall(error, InterruptionCause.MALFORMED_ANSWER)

    def result(self, failure: FailedCall | None = None, *, cut: bool = False) -> UpstreamResult:
        """What the answer is charged. `failure` is how the connection ended. `cut` means that the
        gateway ended it, so that what the client received until then is charged."""
        usage = self._reported.valid(self._has_content)
        charge = compute_charge(self._reported, usage, self.request)
        if self._is_complete(usage):
            return charge.billed(
                200, b"", tail(self.request, self._first_chunk, charge.shown_usage)
            )
        failure = self._failure or failure or self._unfinished()
        charge_partial = cut and self._failure is None and self._has_content
        if usage is None and not charge_partial:
            return failure
        return charge.billed(
            client_status(failure.error.status), failed_body(failure.error, charge)
        )

    def _is_complete(self, usage: TokenUsage | None) -> bool:
        if self._failure is not None:  # one that came after the answer's end changes nothing
            return self._finished and (usage is not None or self._has_content)
        return self._finished or (self._done and (self._has_delta or usage is not None))

    def _unfinished(self) -> FailedCall:
        if self._done:
            message = "The upstream's stream contained no choices and no usage"
            error = ApiError(502, "upstream_error", "malformed_upstream", message)
            return FailedCall(error, InterruptionCause.MALFORMED_ANSWER)
        message = "The upstream's stream ended before its answer was complete"
        error = ApiError(502, "upstream_error", "upstream_broke_off", message)
        return FailedCall(error, InterruptionCause.UPSTREAM_BROKE_OFF)


def _is_plain(raw: bytes) -> bool:
    """Whether a chunk can be passed on as it is: one line of UTF-8, without a number or half of a
    surrogate pair that a client's JSON parser may refuse."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return False
    return "\n" not in text and not UNUSUAL.search(text)


def _well_formed(choices: Any) -> bool:
    return isinstance(choices, list) and all(
        isinstance(choice, dict) and isinstance(choice.get("delta"), dict | None)
        for choice in choices
    )


def failed_body(error: ApiError, charge: AnswerCharge) -> bytes:
    """For an answer that broke off but was billed: the error, and what it cost."""
    how = ", its upper bound, as its usage is not known" if charge.estimated else ""
    message = (
        f"{error.message}. It was charged {usd_text(charge.amount)} USD{how}. The same"
        " Idempotency-Key returns this error again; a new one pays for a new call."
    )
    return dump({"error": replace(error, message=message).fields(), "usage": charge.shown_usage})


def tail(request: ChatRequest, first: Mapping[str, Any], usage: dict[str, Any]) -> bytes:
    """The end of a stream: the chunk with the usage, if the client wants it, and `[DONE]`."""
    done = event(DONE)
    if not request.include_usage:
        return done
    kept = {name: first[name] for name in ("id", "created", "model") if name in first}
    chunk = {"object": "chat.completion.chunk", **kept, "choices": [], "usage": usage}
    return event(dump(chunk)) + done


def from_plain_response(
    status: int, headers: Mapping[str, str], raw: bytes, request: ChatRequest, relay: Relay
) -> UpstreamResult:
    """For a response that is not a stream: an error, or the whole answer, which is passed on as a
    stream of one chunk."""
    result = interpret_response(status, headers, raw, request)
    if isinstance(result, FailedCall) or result.status != 200:
        return result
    data = upstream_object(result.body) or {}
    usage = data.pop("usage", {})
    choices = data.get("choices")
    if isinstance(choices, list) and choices:
        data["choices"] = [_as_delta(choice) for choice in choices]
        shown = {**data, "object": "chat.completion.chunk"}
        if request.include_usage:
            shown["usage"] = None
        relay.add(event(dump(shown)))
    return replace(result, body=b"", tail=tail(request, data, usage))


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
