"""Answers of an upstream that are too long, packed, malformed, or that contain its key."""

import base64
import gzip
import json
import resource
import sqlite3
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from durable_agent_team.gateway.calls.relay import decompress
from tests.gateway.client import Agent, Api, body, error_of, streamed
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.raw_upstream import raw_upstream, response

KEY = "sk-operator/0123456789+key"
USAGE = {"prompt_tokens": 20, "completion_tokens": 5}
CHOICE = {"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
GOOD: dict[str, Any] = {"choices": [CHOICE], "usage": USAGE}
SENT = [body(), streamed()]
EITHER = pytest.mark.parametrize("sent", SENT, ids=["plain", "stream"])


@asynccontextmanager
async def world(
    answer: bytes | Iterable[bytes], **settings: Any
) -> AsyncIterator[tuple[Agent, RunningGateway]]:
    async with (
        raw_upstream(answer) as url,
        running_gateway(url, upstream_api_key=KEY, **settings) as gateway,
        aiohttp.ClientSession() as http,
    ):
        yield await Api(gateway.url, http).open(), gateway


async def assert_consistent(agent: Agent) -> Any:
    account = await agent.account()
    assert account["reserved"] == 0
    assert account["spent"] == sum(line["amount"] for line in await agent.ledger())
    assert account["spent"] <= account["budget"]
    return account


class Endless:
    """A response whose body does not end, and how much of it was sent."""

    def __init__(self, kind: str, piece: bytes, status: str = "200 OK") -> None:
        self.head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {2**40}\r\n\r\n"
        self.piece = piece
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        yield self.head.encode()
        while self.sent < 2**30:
            self.sent += len(self.piece)
            yield self.piece


@EITHER
@pytest.mark.parametrize("status", ["200 OK", "500 Oops"])
async def test_an_answer_without_end_is_cut_off(sent: dict[str, Any], status: str) -> None:
    endless = Endless("application/json", b" " * 60_000, status)
    async with world(endless) as (agent, _):
        reply = await agent.chat(sent)
        error = error_of(reply)
        assert (error["status"], error["code"]) == (502, "upstream_too_long")
        assert "GATEWAY_MAX_ANSWER_BYTES (4194304 bytes)" in error["message"]
        account = await assert_consistent(agent)
        assert account["interrupted"] == {"upstream_broke_off": 1}
    assert endless.sent < 32 * 2**20


async def test_a_stream_of_empty_data_lines_is_cut_off_early() -> None:
    endless = Endless("text/event-stream", b"data\n" * 12_000)
    async with world(endless) as (agent, _):
        error = error_of(await agent.chat(streamed()))
        assert (error["status"], error["code"]) == (502, "malformed_upstream")
    assert endless.sent < 32 * 2**20


def bomb(size: int) -> bytes:
    """`size` MiB of spaces as gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return b"".join([*(packer.compress(b" " * 2**20) for _ in range(size)), packer.flush()])


@EITHER
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_a_packed_answer_is_unpacked_up_to_the_limit(sent: dict[str, Any], kind: str) -> None:
    packed = bomb(512)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with world(response(packed, kind=kind, Content_Encoding="gzip")) as (agent, _):
        error = error_of(await agent.chat(sent))
        assert error["status"] == 502
        assert error["code"] in ("upstream_too_long", "malformed_upstream")
        await assert_consistent(agent)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 * 1024  # KiB


async def test_a_body_packed_twice_is_not_unpacked() -> None:
    twice = gzip.compress(bomb(64))
    async with world(response(twice, Content_Encoding="gzip, gzip")) as (agent, _):
        assert error_of(await agent.chat())["code"] == "malformed_upstream"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "x-gzip", "raw deflate"])
async def test_a_packed_answer_is_read(encoding: str) -> None:
    raw = json.dumps(GOOD).encode()
    pack = {"deflate": zlib.compress(raw), "raw deflate": zlib.compress(raw)[2:-4]}
    packed = pack.get(encoding, gzip.compress(raw))
    answer = response(packed, Content_Encoding=encoding.removeprefix("raw "))
    async with world(answer) as (agent, _):
        assert (await agent.chat()).json["choices"][0]["message"]["content"] == "hi"


@EITHER
async def test_a_body_that_is_not_what_its_encoding_says_is_malformed(sent: dict[str, Any]) -> None:
    for kind in ("application/json", "text/event-stream"):
        answer = response(b"no gzip", kind=kind, Content_Encoding="gzip")
        async with world(answer) as (agent, _):
            error = error_of(await agent.chat(sent))
            assert (error["status"], error["code"]) == (502, "malformed_upstream")
            assert "not gzip" in error["message"]


GOOD_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
MALFORMED = {
    "empty": b"",
    "not http": b"SSH-2.0-OpenSSH_9.6\r\n",
    "status is a word": b"HTTP/1.1 OK\r\n\r\n",
    "status is long": b"HTTP/1.1 20000 OK\r\n\r\n",
    "version": b"HTTP/9.9 200 OK\r\n\r\n",
    "header without a colon": GOOD_HEAD + b"nonsense\r\n\r\n{}",
    "long header": GOOD_HEAD + b"X: " + b"x" * 100_000 + b"\r\n\r\n{}",
    "header with a NUL": GOOD_HEAD + b"X: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": GOOD_HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length is a word": GOOD_HEAD + b"Content-Length: two\r\n\r\n{}",
    "length is negative": GOOD_HEAD + b"Content-Length: -2\r\n\r\n{}",
    "truncated": response(json.dumps(GOOD).encode())[:-10],
    "bad chunk": GOOD_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "chunk without end": GOOD_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}",
    "status 999": response(b"{}", status="999 Odd"),
    "status 204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "status 304": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "status 101": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "redirect": response(b"", status="302 Found", Location="http://127.0.0.1:1/"),
    "not json": response(b"<html>"),
    "a list": response(b"[1]"),
    "deep": response(b'{"a":' * 5_000 + b"1" + b"}" * 5_000),
    "deep choices": response(b'{"choices":' + b"[" * 400 + b"]" * 400 + b"}"),
    "utf-16": response(json.dumps(GOOD).encode("utf-16")),
}


@EITHER
@pytest.mark.parametrize("what", MALFORMED)
async def test_a_malformed_response_is_a_502_of_our_shape(what: str, sent: dict[str, Any]) -> None:
    async with world(MALFORMED[what]) as (agent, _):
        reply = await agent.chat(sent, key="k")
        error = error_of(reply)
        assert (error["status"], error["type"]) == (502, "upstream_error")
        assert error["message"]
        assert len(error["message"]) < 3_000
        account = await assert_consistent(agent)
        assert account["spent"] == 0


@EITHER
async def test_bytes_after_the_answer_do_no_harm(sent: dict[str, Any]) -> None:
    answer = response(json.dumps(GOOD).encode()) + b"HTTP/1.1 200 OK\r\n\r\nmore"
    async with world(answer) as (agent, _):
        for _ in range(2):
            assert (await agent.chat(sent)).status == 200
        await assert_consistent(agent)


FORMS = {
    "plain": KEY,
    "hexadecimal": KEY.encode().hex(),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "URL-encoded": quote(KEY, safe=""),
}
LONG = "x" * 1_990  # cutting the text would leave the beginning of the key


def answers_with(key: str) -> dict[str, bytes]:
    """Answers that contain the key where a text can be."""
    error = {"error": {"message": LONG + key, "code": key}}
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in key)
    content = {**GOOD, "choices": [{"message": {"role": "assistant", "content": key}}]}
    chunk = {"choices": [{"delta": {"content": key}, "finish_reason": "stop"}]}
    events = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
    kind = "text/event-stream"
    return {
        "error": response(json.dumps(error).encode(), status="401 No"),
        "billed error": response(json.dumps({**error, "usage": USAGE}).encode(), status="500 No"),
        "text": response(f"{LONG}{key}".encode()),
        "escaped": response(b'{"error": "' + escaped.encode() + b'"}', status="400 No"),
        "content": response(json.dumps(content).encode()),
        "chunk": response(events, kind=kind),
        "comment": response(f": {key}\n\n".encode() + events, kind=kind),
        "stream error": response(f"data: {json.dumps(error)}\n\n".encode(), kind=kind),
        "malformed chunk": response(f'data: "{"x" * 180}{key}\n\n'.encode(), kind=kind),
        "header": response(b"{}", status="429 No", Retry_After=key),
        "status line": f"HTTP/1.1 {key} {key}\r\n\r\n".encode(),
    }


def assert_without_key(text: str) -> None:
    for form in FORMS.values():
        assert form[:12] not in text
        assert form[:12] not in text.encode().decode("unicode_escape")


class Answers:
    """Another answer for each request."""

    def __init__(self, answers: list[bytes]) -> None:
        self.answers = iter(answers)

    def __iter__(self) -> Iterator[bytes]:
        yield next(self.answers)


@EITHER
@pytest.mark.parametrize("where", answers_with(""))
async def test_the_operators_key_is_removed_before_an_answer_is_cut_or_stored(
    where: str, sent: dict[str, Any]
) -> None:
    answers = [answers_with(key)[where] for key in FORMS.values()]
    async with world(Answers(answers)) as (agent, gateway):
        for number in range(len(answers)):
            reply = await agent.chat(sent, key=f"k{number}")
            assert_without_key(f"{reply.text}{reply.headers}")
        with sqlite3.connect(gateway.database) as database:
            assert_without_key("\n".join(database.iterdump()))
            for (stored,) in database.execute("SELECT response FROM calls WHERE status = 200"):
                plain = b"".join(decompress(stored)) if sent.get("stream") else stored
                assert_without_key(plain.decode())


async def test_a_short_key_is_not_removed_from_answers() -> None:
    async with (
        raw_upstream(response(json.dumps(GOOD).encode())) as url,
        running_gateway(url, upstream_api_key="content") as gateway,
        aiohttp.ClientSession() as http,
    ):
        reply = await (await Api(gateway.url, http).open()).chat()
        assert reply.json["choices"][0]["message"]["content"] == "hi"
