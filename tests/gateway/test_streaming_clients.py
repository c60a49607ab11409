"""Clients of streamed calls: many at once, and clients that leave and return."""

import asyncio
import json
import logging
import signal
import socket
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from durable_agent_team.gateway.calls.chat_request import parse_chat_request
from durable_agent_team.gateway.calls.relay import Relay
from tests.gateway.client import Agent, Api, Reply, bound, content_of, events_of, streamed, world
from tests.support.gateway import running_gateway
from tests.support.gateway_process import gateway_process
from tests.support.upstream import Rule, ScriptedUpstream

TEXT = "one two three four "
USED = {"prompt_tokens": 20, "completion_tokens": 5}
COST = Decimal("0.00003")


@pytest.mark.parametrize("processes", [1, 2])
async def test_64_concurrent_streams_on_an_account_that_can_pay_for_ten(processes: int) -> None:
    sent = streamed("call 00", usage=True)
    need = bound(sent)
    gate = asyncio.Event()
    async with world(Rule(text=TEXT, usage=USED, gate=gate)) as w:
        agent = await w.api.open(f"{Decimal(need * 10) / 10**6}")
        async with running_gateway(w.upstream.url, database=w.gateway.database) as second:
            other = Agent(Api(second.url, w.api.http), agent.id, agent.key)
            agents = [agent, other][:processes]
            refused = 0

            async def call(number: int) -> Reply:
                nonlocal refused
                body = streamed(f"call {number:02}", usage=True)
                reply = await agents[number % processes].chat(body, f"k{number}")
                refused += reply.status == 402
                if refused == 54:
                    gate.set()
                return reply

            replies = await asyncio.wait_for(asyncio.gather(*map(call, range(64))), 60)
        assert sorted(reply.status for reply in replies) == [200] * 10 + [402] * 54
        whole = [reply for reply in replies if reply.status == 200]
        assert {reply.content for reply in whole} == {TEXT}
        assert {reply.events[-2]["usage"]["cost"] for reply in whole} == {COST}
        assert w.upstream.count == 10
        account = await agent.account()
        assert (account["reserved"], account["spent"]) == (0, COST * 10)
        assert len(await agent.ledger()) == 10


@pytest.mark.parametrize("key", ["k", None])
async def test_a_client_that_leaves_a_stream_pays_and_can_get_the_answer_later(
    key: str | None,
) -> None:
    """The tokens are not free (LiteLLM #13245): the call continues to its end and is settled."""
    gate = asyncio.Event()
    async with world(Rule(text=TEXT, usage=USED, gate=gate)) as w:
        agent = await w.api.open()
        async with agent.stream(key=key) as stream:
            assert content_of(events_of((await stream.content.readuntil(b"\n\n")).decode()))
        assert (await agent.account())["reserved"] > 0
        gate.set()
        await agent.until_reserved(False)
        [line] = await agent.ledger()
        assert (line["amount"], line["estimated"]) == (COST, False)
        assert w.upstream.answered == 1
        if key is not None:
            again = await agent.chat(streamed(), key=key)
            assert (again.content, again.headers["x-idempotent-replay"]) == (TEXT, "true")
            assert w.upstream.count == 1


@pytest.mark.parametrize(
    ("door", "sent", "end"),
    [
        ("responses", {"input": "hello", "max_output_tokens": 10}, "response.completed"),
        (
            "messages",
            {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 10},
            "message_stop",
        ),
    ],
)
async def test_a_client_that_leaves_a_stream_at_another_door_pays_and_can_come_back(
    door: str, sent: dict[str, Any], end: str
) -> None:
    gate = asyncio.Event()
    sent = {"model": "m", "stream": True, **sent}
    async with world(Rule(text=TEXT, usage=USED, gate=gate)) as w:
        agent = await w.api.open()
        async with agent.stream(sent, "k", door) as stream:
            assert stream.status == 200
            await stream.content.readuntil(b"one")
        assert (await agent.account())["reserved"] > 0
        gate.set()
        await agent.until_reserved(False)
        [line] = await agent.ledger()
        assert (line["amount"], line["estimated"]) == (COST, False)
        again = await w.api.send("POST", f"/v1/{door}", sent, key=agent.key, idempotency_key="k")
        assert again.status == 200
        assert events_of(again.text)[-1]["type"] == end
        assert again.headers["x-idempotent-replay"] == "true"
        assert w.upstream.count == 1
        assert len(await agent.ledger()) == 1


async def test_a_client_that_leaves_before_the_first_chunk_pays_too() -> None:
    async with world(Rule(text=TEXT, latency=0.3, usage=USED)) as w:
        agent = await w.api.open()
        call = asyncio.create_task(agent.chat(streamed(), key="k"))
        await agent.until_reserved()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await agent.until_reserved(False)
        assert [line["amount"] for line in await agent.ledger()] == [COST]
        assert (await agent.chat(streamed(), key="k")).content == TEXT
        assert w.upstream.count == 1


async def test_a_client_that_leaves_a_stream_without_usage_pays_the_bound() -> None:
    gate = asyncio.Event()
    async with world(Rule(text=TEXT, usage="missing", gate=gate)) as w:
        agent = await w.api.open()
        async with agent.stream(streamed(usage=True)) as stream:
            await stream.content.readuntil(b"\n\n")
        gate.set()
        await agent.until_reserved(False)
        [line] = await agent.ledger()
        assert line["estimated"] is True
        assert line["amount"] == Decimal(bound(streamed(usage=True))) / 10**6


async def test_cancelling_the_handler_does_not_cancel_the_stream() -> None:
    gate = asyncio.Event()
    async with world(Rule(text=TEXT, usage=USED, gate=gate)) as w:
        agent = await w.api.open()
        gateway = w.gateway.server.gateway
        raw = b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true}'
        relay = Relay(keep=True)
        request = parse_chat_request(raw, gateway.models)
        handler = asyncio.create_task(gateway.calls.make(agent.id, "k", request, relay))
        await agent.until_reserved()
        handler.cancel()
        await asyncio.gather(handler, return_exceptions=True)
        gate.set()
        await agent.until_reserved(False)
        account = await agent.account()
        assert (account["charges"], account["interrupted"]) == (1, {})


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_repeated_call_waits_for_the_stream_and_gets_all_of_it(processes: int) -> None:
    gate = asyncio.Event()
    async with world(Rule(text=TEXT, usage=USED, gate=gate)) as w:
        agent = await w.api.open()
        async with running_gateway(w.upstream.url, database=w.gateway.database) as second:
            other = Agent(Api(second.url, w.api.http), agent.id, agent.key)
            async with agent.stream(key="k") as stream:
                await stream.content.readuntil(b"\n\n")
                waiting = [
                    asyncio.create_task([agent, other][n % processes].chat(streamed(), key="k"))
                    for n in range(6)
                ]
                conflict = await other.chat(streamed("other"), key="k")
                assert (conflict.status, conflict.error["type"]) == (409, "idempotency_conflict")
                await asyncio.sleep(0.1)
                assert not any(task.done() for task in waiting)
                gate.set()
                replies = await asyncio.gather(*waiting)
        assert {reply.content for reply in replies} == {TEXT}
        assert {reply.headers["x-idempotent-replay"] for reply in replies} == {"true"}
        assert w.upstream.count == len(await agent.ledger()) == 1


async def test_a_waiting_repeated_call_gets_a_broken_stream_as_a_plain_error() -> None:
    gate = asyncio.Event()
    async with world(Rule(text=TEXT, disconnect="middle", gate=gate, times=1)) as w:
        agent = await w.api.open()
        async with agent.stream(key="k") as stream:
            await stream.content.readuntil(b"\n\n")
            waiting = asyncio.create_task(agent.chat(streamed(), key="k"))
            await asyncio.sleep(0.1)
            gate.set()
            assert "upstream_broke_off" in await stream.text()
        reply = await waiting
        assert (reply.status, reply.error["code"]) == (502, "upstream_broke_off")
        assert (await agent.chat(streamed(), key="k")).content == "ok"


async def test_disabling_an_account_lets_its_stream_finish() -> None:
    gate = asyncio.Event()
    async with world(Rule(text=TEXT, usage=USED, gate=gate)) as w:
        agent = await w.api.open()
        async with agent.stream(key="k") as stream:
            first = await stream.content.readuntil(b"\n\n")
            closing = asyncio.create_task(agent.patch(status="disabled", wait_seconds=30))
            while (await agent.account())["status"] != "disabled":
                await asyncio.sleep(0.01)
            gate.set()
            assert content_of(events_of((first + await stream.read()).decode())) == TEXT
        closed = (await closing).json
        assert (closed["reserved"], closed["spent"], closed["charges"]) == (0, COST, 1)


async def test_a_gateway_killed_in_the_middle_of_a_stream() -> None:
    """Nothing stays reserved; the call can be repeated with its key, and is charged once."""
    gate = asyncio.Event()
    async with (
        ScriptedUpstream([Rule(text=TEXT, gate=gate, times=1), Rule(usage=USED)]) as upstream,
        gateway_process(upstream.url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        async with agent.stream(key="k") as stream:
            await stream.content.readuntil(b"\n\n")
            await gateway.end(signal.SIGKILL)
            with pytest.raises(aiohttp.ClientError):
                await stream.read()
        await gateway.start()
        account = await agent.account()
        assert (account["reserved"], account["interrupted"]) == (0, {"gateway_died": 1})
        first, again = [await agent.chat(streamed(), key="k") for _ in range(2)]
        assert first.text == again.text
        assert [line["amount"] for line in await agent.ledger()] == [COST]
        await gateway.end(signal.SIGKILL)
        await gateway.start()
        assert (await agent.chat(streamed(), key="k")).text == first.text
        assert upstream.count == 2


@pytest.mark.parametrize("in_time", [True, False])
async def test_sigterm_finishes_a_stream_or_ends_it_with_an_error(in_time: bool) -> None:
    gate = asyncio.Event()
    async with (
        ScriptedUpstream([Rule(text=TEXT, gate=gate)]) as upstream,
        gateway_process(upstream.url, gateway_shutdown_seconds=30 if in_time else 0.2) as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        async with agent.stream(key="k") as stream:
            await stream.content.readuntil(b"\n\n")
            ending = asyncio.create_task(gateway.end(signal.SIGTERM))
            if in_time:
                await asyncio.sleep(0.3)
                gate.set()
            rest = events_of(await stream.text())
        assert await ending == 0
        if in_time:
            assert rest[-1] == "[DONE]"
        else:
            assert rest[-1]["error"]["code"] == "stopping"
            assert rest[-1]["error"]["status"] == 503


async def test_clients_that_leave_do_not_leak_reservations(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """LiteLLM #27639. The account can pay two calls at once; 60 clients leave."""
    sent = streamed(usage=True)
    async with world(Rule(text=TEXT, usage=USED, chunk_delay=0.01)) as w:
        agent = await w.api.open(f"{Decimal(60 * 30 + 2 * bound(sent)) / 10**6}")

        async def call_and_leave() -> None:
            async with agent.stream(sent) as stream:
                assert stream.status == 200
                await stream.content.readuntil(b"\n\n")

        for _ in range(30):
            await asyncio.gather(call_and_leave(), call_and_leave())
            await agent.until_reserved(False)
        account = await agent.account()
        assert (account["spent"], account["charges"]) == (COST * 60, 60)
        assert (await agent.chat(sent)).content == TEXT
    ours = [record for record in caplog.records if record.name.startswith(("gateway", "aiohttp"))]
    assert [record for record in ours if record.levelno >= logging.ERROR] == []


async def test_a_gateway_in_front_of_a_gateway_streams_and_both_ledgers_agree() -> None:
    async with (
        world(Rule(text=TEXT, usage=USED, heartbeat="working")) as inner,
        aiohttp.ClientSession() as http,
    ):
        operator = await inner.api.open()
        async with running_gateway(inner.gateway.base_url, upstream_api_key=operator.key) as outer:
            agent = await Api(outer.url, http).open()
            first, again = [await agent.chat(streamed(usage=True), key="k") for _ in range(2)]
            assert first.content == again.content == TEXT
            assert ": working" in first.text
            assert first.events[-2]["usage"] == {**USED, "total_tokens": 25, "cost": COST}
            await operator.patch(status="disabled")
            refused = await agent.chat(streamed())
            assert (refused.status, refused.error["upstream_status"]) == (503, 402)
            assert [line["amount"] for line in await agent.ledger()] == [COST]
        assert [line["amount"] for line in await operator.ledger()] == [COST]


@pytest.mark.parametrize("replayed", [False, True])
async def test_a_client_that_reads_nothing_is_disconnected(
    replayed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Its answer is settled and stored like any other; what it did not read is dropped."""
    caplog.set_level(logging.INFO, "gateway.http")
    text = "x" * 10_000_000
    rule = Rule(text=text, chunks=50, usage=USED)
    async with world(rule, upstream_timeout_seconds=6) as w:
        agent = await w.api.open()
        if replayed:
            assert (await agent.chat(streamed(), key="k")).content == text
        reader, writer = await open_call(w.gateway.url, agent, streamed(), "k")
        async with asyncio.timeout(60):
            while "client read nothing for 6 s" not in caplog.text:
                await asyncio.sleep(0.05)
        assert len(await all_there_is(reader)) < len(text)
        writer.close()
        account = await agent.account()
        assert (account["spent"], account["charges"], account["reserved"]) == (COST, 1, 0)
        assert (await agent.chat(streamed(), key="k")).content == text
        assert w.upstream.count == 1


async def open_call(
    url: str, agent: Agent, sent: dict[str, Any], key: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Sends the request over a socket with small buffers, and does not read the answer."""
    address = urlsplit(url)
    small_socket = socket.socket()
    small_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small_socket.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(small_socket, (address.hostname, address.port))
    reader, writer = await asyncio.open_connection(sock=small_socket)
    body = json.dumps(sent).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {agent.key}\r\n"
        f"Idempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    return reader, writer


async def all_there_is(reader: asyncio.StreamReader) -> bytes:
    found = b""
    try:
        while piece := await reader.read(65_536):
            found += piece
    except ConnectionError:
        pass
    return found
