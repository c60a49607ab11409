"""Sends bytes to the gateway that no HTTP library would send, and reads what comes back."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class RawReply:
    status: int
    head: str
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["error"]
        return found


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    return await asyncio.open_connection(parts.hostname, parts.port)


async def exchange(url: str, data: bytes, seconds: float = 20) -> bytes:
    """Everything that the gateway sends until it closes the connection; it has `seconds`."""
    reader, writer = await connect(url)
    try:
        async with asyncio.timeout(seconds):
            writer.write(data)
            await writer.drain()
            return await reader.read()
    finally:
        writer.close()


async def send(url: str, data: bytes) -> RawReply:
    """The first response. `data` should have the header `Connection: close`."""
    text = await exchange(url, data)
    head, _, body = text.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1]) if head else 0
    return RawReply(status, head.decode("latin-1"), body)


def request(
    method: str,
    target: str,
    headers: dict[str, str],
    body: bytes = b"",
    *,
    length: int | None = None,
) -> bytes:
    size = len(body) if length is None else length
    lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if size:
        lines.append(f"Content-Length: {size}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body
