"""What arrives at the socket: malformed HTTP, compressed bodies, requests that never end."""

import asyncio
import contextlib
import gzip
import json
import logging
import os
import time
import zlib
from pathlib import Path

import aiohttp
import pytest

from tests.gateway import raw
from tests.gateway.client import Api, body, world
from tests.support.gateway import PARENT_KEY
from tests.support.gateway_process import gateway_process
from tests.support.upstream import Rule, ScriptedUpstream

LINE = b"GET /v1/agents/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
KEY = PARENT_KEY.encode()
MALFORMED = [
    LINE + b"Authorization: Bearer " + KEY + b"\r\r\n\r\n",
    LINE + b"Authorization: Bearer " + KEY + b"\x01\r\n\r\n",
    LINE + b"Authorization: Bearer " + KEY + b"\0\r\n\r\n",
    LINE + b"Authorization: Bearer\r " + KEY + b"\r\n\r\n",
    LINE + b"Authorization : Bearer " + KEY + b"\r\n\r\n",
    LINE + b" Authorization: Bearer " + KEY + b"\r\n\r\n",
    LINE + b"Bearer " + KEY + b"\r\n\r\n",
    b"GET /" + KEY + b" HTTP/9\r\n\r\n",
    b"GET /\x01" + KEY + b" HTTP/1.1\r\n\r\n",
    b"GET /\xff" + KEY + b" HTTP/1.1\r\n\r\n",
    KEY + b" / HTTP/1.1\r\n\r\n",
    b"Bearer " + KEY + b"\r\n\r\n",
    b"GET /" + KEY * 400 + b" HTTP/1.1\r\n\r\n",
    LINE + b"X: " + KEY * 400 + b"\r\n\r\n",
    LINE + b"Content-Length: " + KEY + b"\r\n\r\n",
    LINE + b"Transfer-Encoding: chunked\r\n\r\n" + KEY + b"\r\n",
    LINE + b"Expect: " + KEY + b"\r\n\r\n",
]


@pytest.mark.parametrize("sent", MALFORMED)
async def test_malformed_http_is_answered_and_logged_without_quoting_it(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with world() as w:
        reply = await raw.send(w.api.url, sent)
        assert 400 <= reply.status < 500
        assert reply.error["type"] in ("invalid_request_error", "authentication_error")
        assert "application/json" in reply.head
        assert PARENT_KEY not in reply.head + reply.body.decode()
        assert (await w.api.send("GET", "/healthz")).status == 200
    assert PARENT_KEY not in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("sent", [b"\xff\xfe", b"a=\xff", "a=é".encode(), b"a=%ff", b"a"])
@pytest.mark.parametrize("name", [b"baggage", b"traceparent", b"tracestate"])
async def test_headers_of_a_trace_that_are_no_text_are_ignored(name: bytes, sent: bytes) -> None:
    trace = b"traceparent: 00-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01\r\n"
    head = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    async with world() as w:
        for others in (b"", trace):
            reply = await raw.send(w.api.url, head + others + name + b": " + sent + b"\r\n\r\n")
            assert reply.status == 200


@pytest.mark.parametrize(
    "sent", [b"zz\r\nxx", b"5\r\nab", b"-1\r\n\r\n", b"ffffffffffffffffffff\r\n"]
)
async def test_malformed_chunks_are_a_400(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with world(gateway_request_seconds=1) as w:
        head = raw.request(
            "POST",
            "/v1/agents",
            {"Authorization": f"Bearer {PARENT_KEY}", "Transfer-Encoding": "chunked"},
        )
        reply = await raw.send(w.api.url, head + sent)
        assert reply.status in (400, 408)
        assert reply.error["code"] in ("malformed_http", "request_timeout")
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "x", "gzip, identity"])
async def test_a_compressed_body_is_refused(coding: str) -> None:
    async with world() as w:
        agent = await w.api.open()
        for packed in (gzip.compress(json.dumps(body()).encode()), b"not compressed at all"):
            headers = {"Authorization": f"Bearer {agent.key}", "Content-Encoding": coding}
            sent = raw.request("POST", "/v1/chat/completions", headers, packed)
            reply = await raw.send(w.api.url, sent)
            assert (reply.status, reply.error["code"]) == (415, "compressed_body")
            assert "Content-Encoding" in reply.error["message"]
        headers = {"Content-Encoding": coding}
        unknown = await raw.send(w.api.url, raw.request("POST", "/v1/agents", headers, b"x"))
        assert unknown.status == 401, "the key is checked first"
        assert w.upstream.count == 0


def bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    zeros = b" " * 2**20
    return b"".join(packer.compress(zeros) for _ in range(megabytes)) + packer.flush()


async def test_healthz_answers_at_once_while_bombs_arrive() -> None:
    """Each bomb has 1 MB and would become 1 GiB; none of them has a key."""
    packed = bomb(1024)
    assert len(packed) < 1.1 * 2**20
    headers = {"Content-Encoding": "gzip"}
    sent = raw.request("POST", "/v1/chat/completions", headers, packed)
    async with (
        ScriptedUpstream([]) as upstream,
        gateway_process(upstream.url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        api = Api(gateway.url, http)
        await api.send("GET", "/healthz")
        assert gateway.process is not None
        before = cpu_seconds(gateway.process.pid)
        attack = [asyncio.create_task(raw.exchange(gateway.url, sent, 60)) for _ in range(4)]
        for _ in range(20):
            assert (await api.send("GET", "/healthz")).status == 200
            await asyncio.sleep(0.05)
        for reply in await asyncio.gather(*attack, return_exceptions=True):
            assert isinstance(reply, ConnectionError) or b" 401 " in reply  # type: ignore[operator]
        assert cpu_seconds(gateway.process.pid) - before < 1, "none was unpacked"


def cpu_seconds(pid: int) -> float:
    """Of all its threads, so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def half_sent(url: str, sent: bytes, drip: bytes = b"") -> float:
    """How long the gateway keeps the connection open; `drip` is sent again and again."""
    reader, writer = await raw.connect(url)
    started = time.perf_counter()
    writer.write(sent)
    closed = asyncio.create_task(reader.read())
    while not closed.done():
        with contextlib.suppress(ConnectionError):
            writer.write(drip)
        await asyncio.wait([closed], timeout=0.2)
    writer.close()
    with contextlib.suppress(ConnectionError):
        closed.result()
    return time.perf_counter() - started


PARTS = [
    b"GET /healthz HT",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: y",
    b"POST /v1/agents HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
    b"POST /v1/agents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + KEY
    + b"\r\nContent-Length: 100000\r\n\r\n{",
    b"POST /v1/agents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + KEY
    + b"\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HT",
    b"",
]  # fmt: skip


@pytest.mark.parametrize("drip", [b"", b"1"])
async def test_300_half_sent_requests_are_closed(drip: bytes) -> None:
    async with world(gateway_request_seconds=1, gateway_idle_seconds=2) as w:
        sends = [half_sent(w.api.url, PARTS[n % len(PARTS)], drip) for n in range(300)]
        async with asyncio.timeout(60):
            attack = asyncio.gather(*sends)
            assert (await w.api.send("GET", "/healthz")).status == 200
            open_seconds = await attack
        assert max(open_seconds) < 15
        agent = await w.api.open()
        assert (await agent.chat()).status == 200


async def test_a_slow_answer_does_not_count_as_a_slow_request() -> None:
    async with world(Rule(latency=2), gateway_request_seconds=1, gateway_idle_seconds=1) as w:
        agent = await w.api.open()
        assert (await agent.chat()).status == 200
