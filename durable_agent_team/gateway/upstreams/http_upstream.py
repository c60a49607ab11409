"""An upstream with an OpenAI-compatible HTTP API."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import quote

import aiohttp
import httpx

from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.answer import FailedCall, UpstreamResult, interpret_response
from durable_agent_team.gateway.calls.chat_request import (
    MESSAGES_PATH,
    RESPONSES_PATH,
    ChatRequest,
)
from durable_agent_team.gateway.calls.relay import Relay
from durable_agent_team.gateway.calls.secret_filter import SecretFilter
from durable_agent_team.gateway.calls.spoken import ChatStream, Chunks, chat_body
from durable_agent_team.gateway.calls.streamed_answer import StreamedAnswer, from_plain_response
from durable_agent_team.gateway.calls.time_limit import DEFAULT_SETTING, TimeLimit
from durable_agent_team.gateway.calls.unasked_stream import (
    EVENTS,
    begins_as_json,
    whole_answer,
)
from durable_agent_team.gateway.calls.upstream_errors import is_success
from durable_agent_team.gateway.doors.from_messages_answer import ChatChunks
from durable_agent_team.gateway.doors.from_responses_events import ResponseChunks
from durable_agent_team.gateway.keys import Scrubber
from durable_agent_team.gateway.models.upstream_entry import Auth
from durable_agent_team.gateway.stores.store import InterruptionCause
from durable_agent_team.gateway.upstreams.bounded_body import (
    BodyNotUnpacked,
    BodyTooLong,
    read_body,
    read_pieces,
)
from durable_agent_team.gateway.upstreams.upstream_client import Address, Sending, UpstreamClient
from durable_agent_team.gateway.upstreams.upstream_limits import UpstreamLimits

SPOKEN: Mapping[str, Callable[[str], Chunks]] = {
    MESSAGES_PATH: lambda origin: ChatChunks(),
    RESPONSES_PATH: ResponseChunks,
}
"""What makes chunks of a chat of the events that an upstream sends at a path of its own."""
CONNECT_SECONDS = 10.0
MAX_REASON = 300
QUICK_BYTES = 64 * 1024
"""A stream that was not asked for and is longer is put together beside the event loop: of 4 MB,
that takes seconds."""
ANTHROPIC_VERSION = "2023-06-01"
"""Anthropic's reference, "Versions". A models file can send another one as a header."""
CAUSES = {
    "malformed_upstream": InterruptionCause.MALFORMED_ANSWER,
    "upstream_timeout": InterruptionCause.UPSTREAM_TIMEOUT,
    "upstream_too_long": InterruptionCause.UPSTREAM_TOO_LONG,
}
AFTER_DONE_SECONDS = 0.5
"""How long a stream can take to close after its last chunk, so that its connection is reused."""


class HttpUpstream:
    """`base_url` is, for example, https://api.openai.com/v1. All calls share one HTTP client."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        limits: UpstreamLimits,
        *,
        auth: Auth = "bearer",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._names_model = "{model}" in self._base_url
        self._query = dict(query or {})
        self._addresses: dict[str, Address] = {}
        self._limits = limits
        self._secrets = SecretFilter(Scrubber(api_key)) if api_key else SecretFilter()
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        if api_key and auth == "bearer":
            self._headers["Authorization"] = f"Bearer {api_key}"
        elif api_key and auth != "none":
            self._headers[auth] = api_key
        self._client = UpstreamClient()

    def _address(self, model: str, path: str) -> Address:
        """`{model}` in the base URL is the upstream's name for the model, as Azure's deployments
        want it."""
        key = path + (model if self._names_model else "")
        address = self._addresses.get(key)
        if address is None:
            base = self._base_url.replace("{model}", quote(model, safe=""))
            url = httpx.URL(base + path)
            url = url.copy_merge_params(self._query) if self._query else url
            self._addresses[key] = address = self._client.address(url)
        return address

    def not_ready(self, upstream: str | None = None) -> str | None:
        return None

    def open_circuits(self) -> dict[str, int]:
        return {}

    async def complete(
        self, request: ChatRequest, idempotency_key: str, relay: Relay
    ) -> UpstreamResult:
        headers = {**self._headers, "Idempotency-Key": idempotency_key}
        if request.path == MESSAGES_PATH:
            headers.setdefault("anthropic-version", ANTHROPIC_VERSION)
        if request.stream:
            return await self._complete_stream(request, headers, relay)
        sending = self._posted(request, headers)
        try:
            async with asyncio.timeout(self._time_limit(request).seconds), sending as response:
                raw = await self._read_plain(response, request)
        except TimeoutError:
            return self._timed_out(request)
        except BodyTooLong:
            return _too_long("answered", "GATEWAY_MAX_ANSWER_BYTES", self._limits.max_answer_bytes)
        except httpx.HTTPError as error:
            return self._connection_error(error)
        return interpret_response(response.status, response.headers, raw, request)

    def _posted(self, request: ChatRequest, headers: dict[str, str]) -> Sending:
        """`complete` limits the whole call. The connection must be made before that limit, so that
        a call that runs into it is known to be sent."""
        connect = min(CONNECT_SECONDS, self._time_limit(request).seconds * 0.9)
        address = self._address(request.target.upstream_model, request.path)
        return self._client.posted(address, request.body, headers, connect)

    def _time_limit(self, request: ChatRequest) -> TimeLimit:
        return request.time_limit or TimeLimit(self._limits.timeout_seconds, DEFAULT_SETTING)

    async def _read_plain(self, response: aiohttp.ClientResponse, request: ChatRequest) -> bytes:
        """A body that cannot be unpacked is replaced by a text that says so, which is not JSON."""
        try:
            raw = self._secrets.body(await read_body(response, self._limits.max_answer_bytes))
        except BodyNotUnpacked as error:
            return str(error).encode()
        if len(raw) > QUICK_BYTES and EVENTS.match(raw):
            return await asyncio.to_thread(self._translated, raw, request)
        return self._translated(raw, request)

    @staticmethod
    def _translated(raw: bytes, request: ChatRequest) -> bytes:
        chunks = SPOKEN.get(request.path)
        if chunks is None:
            return whole_answer(raw)
        if not EVENTS.match(raw):
            return chat_body(raw, request.target.origin)
        spoken = ChatStream(chunks(request.target.origin))
        stream = spoken.feed(raw) + spoken.end()
        whole = whole_answer(stream)
        return raw if whole is stream else whole

    async def _complete_stream(
        self, request: ChatRequest, headers: dict[str, str], relay: Relay
    ) -> UpstreamResult:
        """Compression is refused, since a compressed stream arrives in larger pieces, later."""
        answer = StreamedAnswer(request, relay, self._secrets)
        headers |= {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        sending = self._posted(request, headers)
        limit = ("streamed", "GATEWAY_MAX_STREAM_BYTES", self._limits.max_stream_bytes)
        try:
            async with (
                asyncio.timeout(self._time_limit(request).seconds) as timeout,
                sending as response,
            ):
                kind = response.headers.get("content-type", "")
                status = response.status
                if not is_success(status) or kind.startswith("application/json"):
                    limit = ("answered", "GATEWAY_MAX_ANSWER_BYTES", self._limits.max_answer_bytes)
                    raw = await self._read_plain(response, request)
                    return from_plain_response(status, response.headers, raw, request, relay)
                pieces = read_pieces(response, self._limits.max_stream_bytes)
                first = await anext(pieces, b"")
                if begins_as_json(first):
                    raw = first + b"".join([piece async for piece in pieces])
                    raw = self._translated(self._secrets.body(raw), request)
                    return from_plain_response(status, response.headers, raw, request, relay)
                answer.headers = response.headers
                chunks = SPOKEN.get(request.path)
                spoken = ChatStream(chunks(request.target.origin)) if chunks else None
                await self._read_events(first, pieces, answer, timeout, spoken)
        except TimeoutError:
            return answer.result(self._timed_out(request), cut=True)
        except BodyTooLong:
            return answer.result(_too_long(*limit), cut=True)
        except BodyNotUnpacked as error:
            return answer.result(_failed(502, "malformed_upstream", f"streamed {error}"))
        except httpx.HTTPError as error:
            return answer.result(self._connection_error(error))
        return answer.result()

    async def _read_events(
        self,
        piece: bytes,
        further: AsyncIterator[bytes],
        answer: StreamedAnswer,
        timeout: asyncio.Timeout,
        spoken: ChatStream | None,
    ) -> None:
        """Reads to the end, from `piece` on. Raises BodyTooLong after GATEWAY_MAX_STREAM_BYTES."""
        closing = False
        while piece:
            answer.feed(piece if spoken is None else spoken.feed(piece))
            if answer.over and not closing:
                closing = True
                soon = asyncio.get_running_loop().time() + AFTER_DONE_SECONDS
                timeout.reschedule(min(soon, timeout.when() or soon))
            piece = await anext(further, b"")
        if spoken is not None:
            answer.feed(spoken.end())
        answer.end_of_stream()

    def _timed_out(self, request: ChatRequest) -> FailedCall:
        limit = self._time_limit(request)
        what = f"did not answer within {limit.seconds:g} s ({limit.source})"
        return _failed(504, "upstream_timeout", what)

    def _connection_error(self, error: httpx.HTTPError) -> FailedCall:
        """Decides by the error's cause: the transport raises the same type for a connection that
        broke and for one that was not made. The error's text can quote the upstream."""
        why = self._secrets.text(str(error) or type(error).__name__)[:MAX_REASON]
        if isinstance(
            error.__cause__, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError
        ):
            # The request was not sent, so nothing can have been billed.
            failed = _failed(502, "upstream_unreachable", f"cannot be reached: {why}")
            return FailedCall(failed.error)
        if isinstance(error, httpx.RemoteProtocolError):
            return _failed(502, "malformed_upstream", f"sent malformed HTTP: {why}")
        what = f"broke off before its answer was complete: {why}"
        return _failed(502, "upstream_broke_off", what)

    async def close(self) -> None:
        await self._client.aclose()


def _too_long(did: str, setting: str, most: int) -> FailedCall:
    return _failed(502, "upstream_too_long", f"{did} more than {setting} ({most} bytes)")


def _failed(status: int, code: str, what: str) -> FailedCall:
    error = ApiError(status, "upstream_error", code, f"The upstream {what}")
    return FailedCall(error, CAUSES.get(code, InterruptionCause.UPSTREAM_BROKE_OFF))
