"""An upstream with an OpenAI-compatible HTTP API."""

import asyncio

import aiohttp
import httpx

from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.answer import FailedCall, UpstreamResult, interpret_response
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.relay import Relay
from durable_agent_team.gateway.calls.streamed_answer import StreamedAnswer, from_plain_response
from durable_agent_team.gateway.stores.store import InterruptionCause
from durable_agent_team.gateway.upstreams.upstream_client import UpstreamClient

CONNECT_SECONDS = 10.0
AFTER_DONE_SECONDS = 0.5
"""How long a stream can take to close after its last chunk, so that its connection is reused."""


class HttpUpstream:
    """`base_url` is, for example, https://api.openai.com/v1. All calls share one HTTP client."""

    def __init__(
        self, base_url: str, api_key: str, timeout_seconds: float, max_stream_bytes: int
    ) -> None:
        self._url = httpx.URL(base_url.rstrip("/") + "/chat/completions")
        self._timeout = timeout_seconds
        self._max_stream_bytes = max_stream_bytes
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        # `complete` limits the whole call; only connecting has a timeout of its own.
        self._timeouts = {"timeout": {"connect": min(CONNECT_SECONDS, timeout_seconds)}}
        self._client = UpstreamClient()

    def not_ready(self) -> str | None:
        return None

    async def complete(
        self, request: ChatRequest, idempotency_key: str, relay: Relay
    ) -> UpstreamResult:
        headers = {**self._headers, "Idempotency-Key": idempotency_key}
        if request.stream:
            return await self._complete_stream(request, headers, relay)
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.send(self._build_request(request, headers))
        except TimeoutError:
            return self._timed_out()
        except httpx.HTTPError as error:
            return _connection_error(error)
        return interpret_response(
            response.status_code, dict(response.headers), response.content, request
        )

    def _build_request(self, request: ChatRequest, headers: dict[str, str]) -> httpx.Request:
        return httpx.Request(
            "POST", self._url, content=request.body, headers=headers, extensions=self._timeouts
        )

    async def _complete_stream(
        self, request: ChatRequest, headers: dict[str, str], relay: Relay
    ) -> UpstreamResult:
        """Compression is refused, since a compressed stream arrives in larger pieces, later."""
        answer = StreamedAnswer(request, relay)
        headers |= {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        sending = self._client.streamed(self._build_request(request, headers))
        try:
            async with asyncio.timeout(self._timeout) as limit, sending as response:
                kind = response.headers.get("content-type", "")
                if response.status_code != 200 or kind.startswith("application/json"):
                    raw = await response.aread()
                    return from_plain_response(
                        response.status_code, dict(response.headers), raw, request, relay
                    )
                if not await self._read_events(response, answer, limit):
                    return answer.result(self._too_long(), cut=True)
        except TimeoutError:
            return answer.result(self._timed_out(), cut=True)
        except httpx.HTTPError as error:
            return answer.result(_connection_error(error))
        return answer.result()

    async def _read_events(
        self, response: httpx.Response, answer: StreamedAnswer, limit: asyncio.Timeout
    ) -> bool:
        """Reads to the end. False if the stream is longer than GATEWAY_MAX_STREAM_BYTES."""
        size, closing = 0, False
        async for piece in response.aiter_bytes():
            size += len(piece)
            if size > self._max_stream_bytes:
                return False
            answer.feed(piece)
            if answer.over and not closing:
                closing = True
                soon = asyncio.get_running_loop().time() + AFTER_DONE_SECONDS
                limit.reschedule(min(soon, limit.when() or soon))
        answer.end_of_stream()
        return True

    def _timed_out(self) -> FailedCall:
        what = f"did not answer within {self._timeout:g} s (UPSTREAM_TIMEOUT_SECONDS)"
        return _failed(504, "upstream_timeout", what)

    def _too_long(self) -> FailedCall:
        most = self._max_stream_bytes
        what = f"streamed more than GATEWAY_MAX_STREAM_BYTES ({most} bytes)"
        return _failed(502, "upstream_too_long", what)

    async def close(self) -> None:
        await self._client.aclose()


def _connection_error(error: httpx.HTTPError) -> FailedCall:
    """Decides by the error's cause: the transport raises the same type for a connection that broke
    and for one that was not made."""
    why = str(error) or type(error).__name__
    if isinstance(error.__cause__, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        # The request was not sent, so nothing can have been billed.
        failed = _failed(502, "upstream_unreachable", f"cannot be reached: {why}")
        return FailedCall(failed.error)
    return _failed(502, "upstream_broke_off", f"broke off before its answer was complete: {why}")


def _failed(status: int, code: str, what: str) -> FailedCall:
    error = ApiError(status, "upstream_error", code, f"The upstream {what}")
    return FailedCall(error, InterruptionCause.UPSTREAM_BROKE_OFF)
