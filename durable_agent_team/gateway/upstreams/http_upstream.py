"""The connection to whoever really answers: any OpenAI-compatible base URL."""

import asyncio
from typing import Protocol

import aiohttp
import httpx

from durable_agent_team.gateway.api_error import ApiError
from durable_agent_team.gateway.calls.answer import Billed, Failed, judge
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.relay import Relay
from durable_agent_team.gateway.calls.streamed_answer import Transcript, from_plain
from durable_agent_team.gateway.stores.store import Cause
from durable_agent_team.gateway.upstreams.upstream_client import UpstreamClient

CONNECT_SECONDS = 10.0
AFTER_DONE_SECONDS = 0.5
"""What a stream gets to close after its last chunk, so that its connection can be used again."""


class Upstream(Protocol):
    """Makes one request, once: retries are the caller's decision, as each may cost."""

    def not_ready(self) -> str | None:
        """Why no call can be made now; None when ready."""

    async def complete(
        self, request: ChatRequest, idempotency_key: str, relay: Relay
    ) -> Billed | Failed:
        """Of a streamed request, what the client may have already goes to `relay`."""

    async def close(self) -> None: ...


class HttpUpstream:
    """`base_url` such as https://api.openai.com/v1; one client for the process."""

    def __init__(
        self, base_url: str, api_key: str, timeout_seconds: float, max_stream_bytes: int
    ) -> None:
        self._url = httpx.URL(base_url.rstrip("/") + "/chat/completions")
        self._timeout = timeout_seconds
        self._max_stream_bytes = max_stream_bytes
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        # The whole call has one limit, in `complete`; only connecting has its own.
        self._limits = {"timeout": {"connect": min(CONNECT_SECONDS, timeout_seconds)}}
        self._client = UpstreamClient()

    def not_ready(self) -> str | None:
        return None

    async def complete(
        self, request: ChatRequest, idempotency_key: str, relay: Relay
    ) -> Billed | Failed:
        headers = {**self._headers, "Idempotency-Key": idempotency_key}
        if request.stream:
            return await self._follow(request, headers, relay)
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.send(self._ordered(request, headers))
        except TimeoutError:
            return self._too_late()
        except httpx.HTTPError as error:
            return _lost(error)
        return judge(response.status_code, dict(response.headers), response.content, request)

    def _ordered(self, request: ChatRequest, headers: dict[str, str]) -> httpx.Request:
        return httpx.Request(
            "POST", self._url, content=request.body, headers=headers, extensions=self._limits
        )

    async def _follow(
        self, request: ChatRequest, headers: dict[str, str], relay: Relay
    ) -> Billed | Failed:
        """A streamed call. Packed chunks would come late, so none are asked for."""
        transcript = Transcript(request, relay)
        headers |= {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        sending = self._client.streamed(self._ordered(request, headers))
        try:
            async with asyncio.timeout(self._timeout) as limit, sending as response:
                kind = response.headers.get("content-type", "")
                if response.status_code != 200 or kind.startswith("application/json"):
                    raw = await response.aread()
                    told = dict(response.headers)
                    return from_plain(response.status_code, told, raw, request, relay)
                if not await self._read(response, transcript, limit):
                    return transcript.ended(self._too_long(), cut=True)
        except TimeoutError:
            return transcript.ended(self._too_late(), cut=True)
        except httpx.HTTPError as error:
            return transcript.ended(_lost(error))
        return transcript.ended()

    async def _read(
        self, response: httpx.Response, transcript: Transcript, limit: asyncio.Timeout
    ) -> bool:
        """To its end; False if that is further than GATEWAY_MAX_STREAM_BYTES."""
        size, waiting = 0, False
        async for piece in response.aiter_bytes():
            size += len(piece)
            if size > self._max_stream_bytes:
                return False
            transcript.feed(piece)
            if transcript.over and not waiting:
                waiting = True
                soon = asyncio.get_running_loop().time() + AFTER_DONE_SECONDS
                limit.reschedule(min(soon, limit.when() or soon))
        transcript.end_of_stream()
        return True

    def _too_late(self) -> Failed:
        what = f"did not answer within {self._timeout:g} s (UPSTREAM_TIMEOUT_SECONDS)"
        return _failed(504, "upstream_timeout", what)

    def _too_long(self) -> Failed:
        most = self._max_stream_bytes
        what = f"streamed more than GATEWAY_MAX_STREAM_BYTES ({most} bytes)"
        return _failed(502, "upstream_too_long", what)

    async def close(self) -> None:
        await self._client.aclose()


def _lost(error: httpx.HTTPError) -> Failed:
    """By the cause: the transport reports a connection that broke as one that was not made."""
    why = str(error) or type(error).__name__
    if isinstance(error.__cause__, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        # No connection, no request: nothing can have been billed.
        failed = _failed(502, "upstream_unreachable", f"cannot be reached: {why}")
        return Failed(failed.error)
    return _failed(502, "upstream_broke_off", f"broke off before its answer was whole: {why}")


def _failed(status: int, code: str, what: str) -> Failed:
    error = ApiError(status, "upstream_error", code, f"The upstream {what}")
    return Failed(error, Cause.UPSTREAM_BROKE_OFF)
