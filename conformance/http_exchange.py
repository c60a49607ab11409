"""As much of HTTP/1.1 as the scripted upstream needs, on asyncio's streams."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

LONGEST_BODY = 16 * 2**20


class NotHttp(Exception):
    """What came is not a request that can be read."""


@dataclass(frozen=True)
class Request:
    """`path` without its query, `headers` with names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json_object(self) -> dict[str, Any]:
        """The body, or an empty object if it is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None if the connection has ended. `NotHttp`."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except asyncio.LimitOverrunError as error:
        raise NotHttp("the headers are too long") from error
    first, *lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, _ = first.split(" ")
    except ValueError as error:
        raise NotHttp(f"not a request line: {first!r}") from error
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    body = await _body(reader, headers)
    return Request(method, target.partition("?")[0], headers, body)


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        pieces = []
        while size := int((await reader.readline()).split(b";")[0], 16):
            pieces.append(await reader.readexactly(size))
            await reader.readline()
        await reader.readline()
        return b"".join(pieces)
    length = int(headers.get("content-length", "0"))
    if length > LONGEST_BODY:
        raise NotHttp("the body is too long")
    return await reader.readexactly(length)


def head(status: int, kind: str, length: int | None) -> bytes:
    """Status line and headers; without a length the body comes in chunks."""
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return f"HTTP/1.1 {status} Scripted\r\nContent-Type: {kind}\r\n{size}\r\n\r\n".encode()


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


LAST_CHUNK = b"0\r\n\r\n"
