"""HTTP with an MCP server: bounded, and every trouble is an answer.

The `mcp` package reads a JSON body whole, whatever its size; makes -32603 of each refusal, without
its status; and when a connection breaks, its task group ends every other call of the session. So
this transport never raises: it answers in the server's place, with the error of a `Fault`.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx2

from activities.tools.mcp.bounded_events import (
    MAX_BODY_BYTES,
    BoundedEvents,
    too_long,
    with_whole_characters,
)
from activities.tools.mcp.faults import Fault
from activities.tools.mcp.wire_messages import is_answer, number_of

MAX_REFUSAL_BYTES: Final = 20_000
MAX_HEADER: Final = 20_000
"""For a header of a refusal, which has something to say to a person."""
WRITE_SECONDS: Final = 60.0
TAKEN_SECONDS: Final = 5.0
"""How long a server may take to acknowledge a notification, a response, or the end of the session.
The package waits for that before it sends anything else: later calls would not be sent."""
JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
UNSENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
REDIRECTS: Final = (301, 302, 303, 307, 308)
SESSION: Final = "mcp-session-id"
_HEADER_TEXT: Final = re.compile(r"[\t\x20-\x7e]+")
"""A session id becomes a header of each request. The specification (2025-11-25, "Session
Management") allows less: visible ASCII."""


class _TooLarge(Exception):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size


class BoundedTransport(httpx2.AsyncBaseTransport):
    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        token_remedy: str = "",
        scrub: Callable[[str], str] = str,
    ) -> None:
        """`token_remedy` says where the worker takes the server's token from; `scrub` removes
        secrets from a refusal, before anything of it is cut."""
        self._inner = inner
        self._token_remedy = token_remedy
        self._scrub = scrub
        self._takes_answers = True

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        message = _message(request)
        if request.method == "GET" or {"id", "method"} <= message.keys():
            return await self._exchange(request, message)
        answers = is_answer(message)
        if answers and not self._takes_answers:
            return httpx2.Response(202)
        limits = {**request.extensions.get("timeout", {}), "read": TAKEN_SECONDS}
        request.extensions = {**request.extensions, "timeout": limits}
        taken = await self._exchange(request, message)
        if answers and taken.status_code >= 500:
            self._takes_answers = False
        return taken

    async def _exchange(
        self, request: httpx2.Request, message: Mapping[str, Any]
    ) -> httpx2.Response:
        try:
            response = await self._inner.handle_async_request(request)
        except UNSENT as error:
            return _answer(503, Fault("unsent", f"it does not answer ({type(error).__name__})"))
        except (httpx2.HTTPError, OSError, ValueError) as error:
            text = f"the connection broke off ({type(error).__name__})"
            return _answer(502, Fault("lost", text))
        if not _HEADER_TEXT.fullmatch(response.headers.get(SESSION, "none")):
            await response.aclose()
            text = "its session id has characters that no header may have"
            return _answer(400, Fault("refused", text, status=400))
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if response.status_code == 200 and kind == EVENTS and not _is_encoded(response):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            bounded = BoundedEvents(response.stream, number_of(message.get("id")))
            headers = response.headers
            return httpx2.Response(200, headers=headers, stream=bounded)
        try:
            return await self._whole(request, message, response, kind)
        except _TooLarge as error:
            fault = Fault("too_large", too_long(error.size), bytes=error.size)
            return _answer(200, fault, message)
        except (httpx2.HTTPError, OSError, ValueError) as error:
            text = f"the connection broke off ({type(error).__name__})"
            return _answer(502, Fault("lost", text))
        finally:
            await response.aclose()

    async def _whole(
        self,
        request: httpx2.Request,
        message: Mapping[str, Any],
        response: httpx2.Response,
        kind: str,
    ) -> httpx2.Response:
        status = response.status_code
        if status in REDIRECTS or request.method != "POST":
            return httpx2.Response(status, headers=_kept(response), content=b"")
        is_refusal = status >= 300
        limit = MAX_REFUSAL_BYTES if is_refusal else MAX_BODY_BYTES
        if _is_encoded(response):
            return _answer(200, Fault("unreadable", "an answer that is compressed"), message)
        try:
            body = await _read(response, limit)
        except _TooLarge:
            if not is_refusal:
                raise
            body = b""
        if is_refusal and (_says_enough(request, response) or not _is_error(body)):
            return _answer(status, self._refusal(request, body, response))
        if not is_refusal and status != 202 and body and kind != JSON:
            return _answer(200, Fault("unreadable", "an answer that is no JSON"), message)
        if b"\\ud" in body.lower():
            body = with_whole_characters(body)
        return httpx2.Response(status, headers=_kept(response), content=body)

    def _refusal(self, request: httpx2.Request, body: bytes, response: httpx2.Response) -> Fault:
        """A 5xx of a gateway in front of the server may come after the tool has run."""
        status, url = response.status_code, request.url
        return Fault(
            stage="lost" if status >= 500 and status not in (501, 503) else "refused",
            text=f"it answered with status {status}",
            status=status,
            body=self._scrub(body.decode(errors="replace")),
            challenge=response.headers.get("www-authenticate", "")[:MAX_HEADER],
            offer=response.headers.get("payment-required", "")[:MAX_HEADER],
            url=f"{url.scheme}://{url.netloc.decode()}{url.path}"[:500],
            remedy=self._token_remedy,
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


def bounded_client(
    headers: Mapping[str, str],
    connect_seconds: float,
    proxy: str | None = None,
    token_remedy: str = "",
    scrub: Callable[[str], str] = str,
) -> httpx2.AsyncClient:
    """A client whose requests have these headers. It reads no proxy from the environment."""
    inner = httpx2.AsyncHTTPTransport(proxy=proxy, trust_env=False)
    timeout = httpx2.Timeout(None, connect=connect_seconds, write=WRITE_SECONDS)
    return httpx2.AsyncClient(
        headers={**headers, "accept-encoding": "identity"},
        transport=BoundedTransport(inner, token_remedy, scrub),
        timeout=timeout,
        trust_env=False,
    )


def _is_encoded(response: httpx2.Response) -> bool:
    return response.headers.get("content-encoding", "identity").strip().lower() != "identity"


async def _read(response: httpx2.Response, limit: int) -> bytes:
    parts, size = [], 0
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    async for part in response.stream:
        size += len(part)
        if size > limit:
            raise _TooLarge(size)
        parts.append(part)
    return b"".join(parts)


def _kept(response: httpx2.Response) -> dict[str, str]:
    """Headers that a session needs."""
    names = ("content-type", SESSION, "location")
    return {name: response.headers[name] for name in names if name in response.headers}


def _says_enough(request: httpx2.Request, response: httpx2.Response) -> bool:
    """Whether the status says what it is about, also where a JSON-RPC error comes with it: a token
    or a payment is missing, or the session; or a gateway had no answer from the server."""
    status, headers = response.status_code, response.headers
    needs_scope = status == 403 and "insufficient_scope" in headers.get("www-authenticate", "")
    return status in (401, 402, 502, 504) or needs_scope or _forgets_session(request, status)


def _forgets_session(request: httpx2.Request, status: int) -> bool:
    """Whether the server no longer knows the session of the request. The specification (2025-11-25,
    Session Management) has this status for nothing else, and servers send all sorts of JSON-RPC
    errors with it, such as "Session not found" with -32600 or -32001."""
    return status == 404 and SESSION in request.headers


def _is_error(body: bytes) -> bool:
    """Whether a refusal's body is a JSON-RPC error, which says more than its status."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return False
    error = found.get("error") if isinstance(found, dict) else None
    return (
        isinstance(error, dict)
        and found.get("jsonrpc") == "2.0"
        and isinstance(error.get("code"), int)
        and isinstance(error.get("message"), str)
    )


def _answer(status: int, fault: Fault, message: Mapping[str, Any] | None = None) -> httpx2.Response:
    """A response in the server's place. With status 200, it needs the number of the request."""
    number = None if message is None else message.get("id")
    said = {"jsonrpc": "2.0", "id": number, "error": fault.error()}
    return httpx2.Response(
        status, headers={"content-type": JSON}, content=json.dumps(said).encode()
    )


def _message(request: httpx2.Request) -> dict[str, Any]:
    """What a request sends; nothing where it has no body."""
    try:
        found = json.loads(request.content)
    except (ValueError, httpx2.RequestNotRead):
        return {}
    return found if isinstance(found, dict) else {}
