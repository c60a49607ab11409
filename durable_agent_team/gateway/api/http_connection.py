"""One connection of a client: time limits, and errors before a request reaches a handler.

aiohttp would log such an error with a trace that quotes the request (its keys, too), and answer
with that text. Here the answer is an error response like any other, and the log line quotes
nothing.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import http_exceptions, web

from durable_agent_team.gateway.api.http_bodies import respond
from durable_agent_team.gateway.api.request_outcomes import NO_RETRY, is_final
from durable_agent_team.gateway.api_error import ApiError, invalid, unexpected
from durable_agent_team.gateway.identifiers import request_id as new_request_id

log = logging.getLogger("gateway.http")

MAX_LINGER_SECONDS = 5.0
"""How long the rest of a body is read and thrown away, so that its sender gets the response."""
WHAT: dict[type[BaseException], str] = {
    http_exceptions.LineTooLong: "its request line or a header is longer than 8,190 bytes",
    http_exceptions.InvalidURLError: "its path is not a valid URL",
    http_exceptions.InvalidHeader: "one of its headers is malformed",
    http_exceptions.BadStatusLine: "its request line is malformed",
    http_exceptions.BadHttpMethod: "its method is malformed",
    http_exceptions.TransferEncodingError: "its chunks are malformed",
    http_exceptions.ContentLengthError: "its length is not its Content-Length",
}


class HttpConnection(web.RequestHandler):
    """Closes a connection whose request line and headers do not arrive in time."""

    def __init__(self, *args: Any, head_seconds: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_seconds = head_seconds
        self._head_timer: asyncio.TimerHandle | None = None
        self.when_lost: set[Callable[[], None]] = set()
        """Called once when the client has disconnected."""
        self.when_reset: Callable[[], None] | None = None
        """Called if the client resets the connection before it sends anything more. The kernel of
        one that closes it with an unread answer does that (RFC 2525, section 2.17)."""

    def data_received(self, data: bytes) -> None:
        self.when_reset = None
        super().data_received(data)
        waits = self._waiter is not None and not self._waiter.done()
        if waits and self._head_timer is None and not self._force_close:
            self._head_timer = self._loop.call_later(self._head_seconds, self.force_close)
        elif not waits:
            self._stop_head_timer()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_head_timer()
        if self.when_reset is not None and isinstance(exc, ConnectionResetError):
            self.when_reset()
        for call in tuple(self.when_lost):
            call()
        super().connection_lost(exc)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The response to a request that could not be read, or whose handler failed."""
        if request.writer.output_size > 0:
            raise ConnectionError("the response has begun, so no error can be sent")
        request_id = new_request_id()
        kind = type(exc).__name__
        if 400 <= status < 500:
            what = next((WHAT[each] for each in type(exc).__mro__ if each in WHAT), "see RFC 9112")
            error = invalid(f"The request is not valid HTTP: {what}", "malformed_http", status)
            log.info("malformed request (%s) %d id=%s", kind, status, request_id)
        else:
            error = unexpected(request_id)
            log.error("unexpected id=%s (%s)", request_id, kind)
        return early_response(error, request_id)

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """Names the exception's type only: its text can quote the request."""
        log.error("connection failed (%s)", type(kwargs.get("exc_info")).__name__)


def early_response(error: ApiError, request_id: str) -> web.Response:
    """An error response that closes the connection."""
    final = NO_RETRY if is_final(error) else {}
    headers = {**error.headers, **final, "X-Request-Id": request_id}
    response = respond(error.body(), error.status, headers)
    response.force_close()
    return response


class HttpServer(web.Server):
    def __call__(self) -> web.RequestHandler:
        return HttpConnection(self, loop=self._loop, **self._kwargs)


class HttpRunner(web.AppRunner):
    """Runs an application on `HttpConnection`s. It unpacks no body (`http_bodies.read_body`)."""

    def __init__(self, app: web.Application, request_seconds: float, idle_seconds: float) -> None:
        super().__init__(app, access_log=None, shutdown_timeout=5)
        self._limits = {
            "head_seconds": request_seconds,
            "keepalive_timeout": idle_seconds,
            "lingering_time": min(MAX_LINGER_SECONDS, request_seconds),
            "auto_decompress": False,
        }

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        settings = {**made._kwargs, **self._limits}
        handler = _Outermost(made.request_handler)
        return HttpServer(handler, request_factory=made.request_factory, **settings)


class _Outermost:
    """Errors that aiohttp raises before the middlewares run, such as for an unknown `Expect`."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await self._handler(request)
        except web.HTTPException as error:
            request_id = new_request_id()
            log.info("refused before routing %d id=%s", error.status, request_id)
            what = f"{error.reason}: the gateway supports only `Expect: 100-continue`"
            message = what if error.status == 417 else error.reason
            return early_response(
                invalid(message, f"http_{error.status}", error.status), request_id
            )
        return response
