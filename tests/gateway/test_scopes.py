"""Calls in a scope over real HTTP: the gateway makes the keys, so that no client needs to."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from durable_agent_team.gateway.stores.sqlite_writer import Writer
from tests.gateway import raw
from tests.gateway.client import Agent, Api, Reply, body, streamed, world
from tests.support.gateway import running_gateway
from tests.support.upstream import Received, Rule, ScriptedUpstream

USED = {"prompt_tokens": 20, "completion_tokens": 5}
CHAT = "/v1/chat/completions"
RETRY = {"x-stainless-retry-count": "1"}
DOORS: dict[str, dict[str, Any]] = {
    CHAT: body(),
    "/v1/responses": {"model": "m", "input": "hello", "max_output_tokens": 10},
    "/v1/messages": body(),
    "/v1/embeddings": {"model": "m", "input": "hello"},
}


async def call(
    agent: Agent,
    attempt: int | str = 1,
    sent: dict[str, Any] | None = None,
    *,
    scope: str = "s",
    door: str = CHAT,
    headers: dict[str, str] | None = None,
) -> Reply:
    url = f"{agent.api.url}/scopes/{scope}/{attempt}{door}"
    return await post(agent, url, sent or body(), headers or {})


async def post(agent: Agent, url: str, sent: dict[str, Any], headers: dict[str, str]) -> Reply:
    headers = {"Authorization": f"Bearer {agent.key}", **headers}
    async with agent.api.http.post(url, json=sent, headers=headers) as response:
        lower = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, lower, await response.text())


async def state(agent: Agent, scope: str = "s") -> Any:
    reply = await agent.api.send("GET", f"/v1/scopes/{scope}", key=agent.key)
    assert reply.status == 200, reply.text
    return reply.json


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


def numbered(text: str = "answer") -> Callable[[Received], str]:
    """Each answer is another one."""
    count = 0

    def answer(_: Received) -> str:
        nonlocal count
        count += 1
        return f"{text} {count}"

    return answer


@pytest.mark.parametrize("sent", [body(), streamed(usage=True)])
async def test_equal_bodies_are_calls_of_their_own_and_the_next_attempt_replays_them(
    sent: dict[str, Any],
) -> None:
    async with world(Rule(usage=USED, text=numbered())) as w:
        agent = await w.api.open()
        first = [await call(agent, 1, sent) for _ in range(5)]
        assert [reply.status for reply in first] == [200] * 5
        assert len({reply.text for reply in first}) == 5
        second = [await call(agent, 2, sent) for _ in range(5)]
        assert [reply.text for reply in second] == [reply.text for reply in first]
        assert w.upstream.count == 5
        assert (await call(agent, 2, sent)).text not in {reply.text for reply in first}
        late = await call(agent, 1, sent)
        assert (late.status, late.error["code"]) == (409, "attempt_superseded")
        assert late.headers["x-should-retry"] == "false"
        found = await state(agent)
        assert found["attempt"] == 2
        assert found["calls"] == {
            "charged": 6,
            "replayed": 5,
            "refused": 1,
            "failed": 0,
            "in_flight": 0,
        }
        lines = await agent.ledger("?scope=s")
        assert [line["attempt"] for line in lines] == [1, 1, 1, 1, 1, 2]
        assert found["spent_usd"] == sum(line["amount"] for line in lines)
        for kind in ("prompt_tokens", "completion_tokens"):
            assert found["usage"][kind] == sum(line[kind] for line in lines) > 0


async def test_equal_bodies_at_once_are_calls_of_their_own() -> None:
    async with world(Rule(usage=USED, text=numbered(), latency=0.3)) as w:
        agent = await w.api.open()
        first = await asyncio.gather(*(call(agent) for _ in range(4)))
        second = await asyncio.gather(*(call(agent, 2) for _ in range(4)))
        assert {reply.text for reply in first} == {reply.text for reply in second}
        assert w.upstream.count == len({reply.text for reply in first}) == 4


@pytest.mark.parametrize("door", DOORS)
async def test_every_door_by_path_and_by_headers(door: str) -> None:
    """Also the headers of a client that sends an idempotency key of its own."""
    embedded = {"data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 3}}
    rule = Rule(usage=USED) if door != "/v1/embeddings" else Rule(body=embedded)
    async with world(rule) as w:
        agent = await w.api.open()
        first = await call(agent, 1, DOORS[door], door=door, headers={"Idempotency-Key": "own"})
        assert first.status == 200, first.text
        scope = {"Agent-Scope": "s", "Agent-Attempt": "2", "Idempotency-Key": "other"}
        again = await post(agent, f"{w.api.url}{door}", DOORS[door], scope)
        assert (again.text, again.headers["x-idempotent-replay"]) == (first.text, "true")
        [line] = await agent.ledger()
        assert line["idempotency_key"].startswith("scope:s:")


async def test_a_scope_belongs_to_the_account_of_the_key() -> None:
    async with world(Rule(usage=USED)) as w:
        one, other = await w.api.open(), await w.api.open()
        assert (await call(one, 7)).status == (await call(other, 1)).status == 200
        assert w.upstream.count == 2
        assert ((await state(one))["attempt"], (await state(other))["attempt"]) == (7, 1)


async def test_models_are_listed_below_a_scope() -> None:
    async with world() as w:
        assert (await w.api.send("GET", "/scopes/s/1/v1/models", key="")).status == 200
        assert (await w.api.send("GET", "/scopes/s/1/v1/models/m", key="")).status == 200


@pytest.mark.parametrize(
    ("failing", "status"),
    [
        (Rule(status=500, times=1), 500),
        (Rule(status=429, times=1), 429),
        (Rule(disconnect="middle", times=1), 502),
    ],
)
async def test_a_failure_gives_the_number_back(failing: Rule, status: int) -> None:
    async with world(Rule(times=1, usage=USED, text="a"), failing, Rule(usage=USED)) as w:
        agent = await w.api.open()
        await call(agent)
        failed = await call(agent)
        assert failed.status == status
        assert "x-should-retry" not in failed.headers
        assert (await call(agent, headers=RETRY)).status == 200
        keys = [line["idempotency_key"].rpartition(":")[2] for line in await agent.ledger()]
        assert keys == ["0", "1"]
        found = await state(agent)
        assert (found["calls"]["charged"], found["calls"]["failed"]) == (2, 1)
        assert found["last_failure"]["status"] == status
        assert found["last_refusal"] is None


async def test_a_refusal_gives_the_number_back_and_is_kept_in_full() -> None:
    async with world(Rule(usage=USED)) as w:
        agent = await w.api.open(0.0001)
        refused = await call(agent, 3, body(max_tokens=1000))
        assert (refused.status, refused.headers["x-should-retry"]) == (402, "false")
        found = await state(agent)
        assert found["last_refusal"]["status"] == 402
        assert found["last_refusal"]["error"] == refused.error
        assert found["last_refusal"]["attempt"] == 3
        await agent.patch(budget=1)
        assert (await call(agent, 4, body(max_tokens=1000))).status == 200
        [line] = await agent.ledger()
        assert line["idempotency_key"].endswith(":0")
        parent = await w.api.send("GET", f"/v1/scopes/s?agent={agent.id}")
        assert parent.json == await state(agent)


async def test_a_stream_that_ends_in_an_error_is_not_whole() -> None:
    """It broke off after its usage came, so it was charged: the same number returns it again."""
    broken = Rule(
        sse=[
            'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n',
            'data: {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}\n\n',
            'data: {"error": {"message": "overloaded", "code": 500}}\n\n',
        ]
    )
    async with world(broken) as w:
        agent = await w.api.open()
        first = await call(agent, 1, streamed())
        assert "error" in first.events[-1]
        for attempt in (1, 2):
            again = await call(agent, attempt, streamed())
            assert again.status == 500, again.text
        assert w.upstream.count == 1
        found = await state(agent)
        assert (found["calls"]["charged"], found["calls"]["replayed"]) == (1, 2)
        assert found["last_failure"]["attempt"] == 2


async def leave(agent: Agent, sent: dict[str, Any], read: bytes = b"") -> None:
    """Sends a call in attempt 1, disconnects once `read` has arrived, or the call was made."""
    reader, writer = await raw.connect(agent.api.url)
    headers = {"Authorization": f"Bearer {agent.key}", "Content-Type": "application/json"}
    data = json.dumps(sent).encode()
    writer.write(raw.request("POST", f"/scopes/s/1{CHAT}", headers, data))
    await writer.drain()
    if read:
        await reader.readuntil(read)
    else:
        await agent.until_reserved()
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.1)


@pytest.mark.parametrize("sent", [body(), streamed()])
async def test_a_client_that_leaves_gives_its_number_back_and_its_call_continues(
    sent: dict[str, Any],
) -> None:
    gate = asyncio.Event()
    async with world(Rule(usage=USED, text="one two three", gate=gate, chunks=2)) as w:
        agent = await w.api.open()
        await leave(agent, sent, b"data:" if sent.get("stream") else b"")
        again = asyncio.create_task(call(agent, 1, sent))
        await asyncio.sleep(0.1)
        gate.set()
        assert (await again).headers["x-idempotent-replay"] == "true"
        assert w.upstream.count == 1
        assert len(await agent.ledger()) == 1
        # The number is kept now: an equal body is another call.
        assert "x-idempotent-replay" not in (await call(agent, 1, sent)).headers


@pytest.mark.parametrize("sent", [body(), streamed()])
@pytest.mark.parametrize("reads", [True, False])
async def test_an_answer_that_the_client_did_not_read_is_not_handed_over(
    sent: dict[str, Any], reads: bool
) -> None:
    """It gave up while the answer lay in its own machine's buffer."""
    async with world(Rule(usage=USED)) as w:
        agent = await w.api.open()
        loop, parts = asyncio.get_running_loop(), urlsplit(w.api.url)
        headers = {"Authorization": f"Bearer {agent.key}", "Content-Type": "application/json"}
        request = raw.request("POST", f"/scopes/s/1{CHAT}", headers, json.dumps(sent).encode())
        with socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, (parts.hostname, parts.port))
            await loop.sock_sendall(client, request.replace(b"Connection: close\r\n", b""))
            while not await agent.ledger():
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)
            if reads:
                assert b"200 OK" in await loop.sock_recv(client, 65536)
        await asyncio.sleep(0.2)
        again = await call(agent, 1, sent)
        assert ("x-idempotent-replay" in again.headers) is not reads
        assert w.upstream.count == 1 + reads


async def test_a_call_in_a_scope_costs_one_transaction_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operations = 0
    run = Writer.run

    async def counted(self: Writer, operation: Any, *, durable: bool = True) -> Any:
        nonlocal operations
        operations += 1
        return await run(self, operation, durable=durable)

    async with world(Rule(usage=USED)) as w:
        agent = await w.api.open()
        await agent.chat(key="first")
        await call(agent, scope="first")
        monkeypatch.setattr(Writer, "run", counted)
        await agent.chat(body("plain"), key="k")
        assert operations == 2
        await call(agent, 1, body("scoped"))
        assert operations == 2 + 3


async def test_a_repeated_request_joins_the_first_one_also_if_that_seems_connected() -> None:
    """The SDK has given up waiting, and the gateway does not know it."""
    gate = asyncio.Event()
    async with world(Rule(usage=USED, gate=gate)) as w:
        agent = await w.api.open()
        first = asyncio.create_task(call(agent))
        await agent.until_reserved()
        again = asyncio.create_task(call(agent, headers=RETRY))
        await asyncio.sleep(0.2)
        gate.set()
        assert (await again).text == (await first).text
        # Nor does the answer arrive, which the gateway handed over.
        assert (await call(agent, headers=RETRY)).text == (await first).text
        assert w.upstream.count == 1


@pytest.mark.parametrize("sent", [body(), streamed()])
async def test_a_newer_attempt_joins_the_call_in_flight_and_the_older_gets_nothing(
    sent: dict[str, Any],
) -> None:
    gate = asyncio.Event()
    async with world(Rule(usage=USED, gate=gate)) as w:
        agent = await w.api.open()
        orphan = asyncio.create_task(call(agent, 1, sent))
        await agent.until_reserved()
        newer = asyncio.create_task(call(agent, 2, sent))
        await asyncio.sleep(0.2)
        gate.set()
        assert (await newer).status == 200
        late = await orphan
        code = (late.events[-1] if sent.get("stream") else late.json)["error"]["code"]
        assert code == "attempt_superseded"
        assert "[DONE]" not in late.text
        assert w.upstream.count == 1
        [line] = await agent.ledger()
        assert line["attempt"] == 1


async def test_several_gateways_on_one_database() -> None:
    gate = asyncio.Event()
    async with (
        ScriptedUpstream([Rule(usage=USED, gate=gate, times=1), Rule(usage=USED)]) as upstream,
        running_gateway(upstream.url) as one,
        running_gateway(upstream.url, database=one.database) as two,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(one.url, http).open()
        elsewhere = Agent(Api(two.url, http), agent.id, agent.key)
        orphan = asyncio.create_task(call(agent, 1))
        await agent.until_reserved()
        beside = await call(elsewhere, 1)
        assert "x-idempotent-replay" not in beside.headers, "the first one is connected"
        newer = asyncio.create_task(call(elsewhere, 2))
        await asyncio.sleep(0.2)
        gate.set()
        assert (await orphan).error["code"] == "attempt_superseded"
        assert (await newer).headers["x-idempotent-replay"] == "true"
        assert (await call(elsewhere, 2)).text == beside.text
        assert upstream.count == 2


@pytest.mark.parametrize(
    ("path", "word"),
    [
        (f"/scopes/s/0{CHAT}", "attempt"),
        (f"/scopes/s/1000000001{CHAT}", "attempt"),
        (f"/scopes/s/one{CHAT}", "attempt"),
        (f"/scopes/s%20s/1{CHAT}", "scope"),
        (f"/scopes/{'s' * 101}/1{CHAT}", "scope"),
        (f"/scopes/s{CHAT}", "/scopes/SCOPE/ATTEMPT/v1"),
        ("/scopes/s/1/v1/agents", "/scopes/SCOPE/ATTEMPT/v1"),
        ("/scopes/s/1/v1/assistants", "OpenAIChatCompletionsModel"),
        ("/scopes/s/1/v1/realtime", "RealtimeAgent"),
        ("/scopes/s/1/v1/audio/speech", "not served"),
        ("/scopes/s/1/v1/responses/resp_1/cancel", "use_responses_api=False"),
        ("/scopes/s/1/v1/v1/messages", "base_url"),
        ("/scopes/s/1/chat/completions", "base_url"),
        ("/v1beta/models/gemini:generateContent", "OpenAI-compatible"),
    ],
)
async def test_an_address_that_is_not_served_says_which_one_is(path: str, word: str) -> None:
    async with world() as w:
        agent = await w.api.open()
        reply = await agent.api.send("POST", path, body(), key=agent.key)
        assert reply.status in (400, 404, 405)
        assert word in reply.error["message"], reply.text
        assert reply.headers["x-should-retry"] == "false"
        assert w.upstream.count == 0


@pytest.mark.parametrize(
    "headers",
    [{"Agent-Scope": "s"}, {"Agent-Attempt": "1"}, {"Agent-Scope": "", "Agent-Attempt": "1"}],
)
async def test_half_of_the_headers_is_refused(headers: dict[str, str]) -> None:
    async with world() as w:
        agent = await w.api.open()
        reply = await post(agent, w.api.url + CHAT, body(), headers)
        assert reply.status == 400
        assert w.upstream.count == 0


async def test_a_scope_without_calls_has_cost_nothing() -> None:
    async with world() as w:
        agent = await w.api.open()
        found = await state(agent, "new")
        assert (found["attempt"], found["spent_usd"], found["last_refusal"]) == (0, 0, None)
        for path in ("/v1/scopes/s", "/v1/scopes/s?agent=agt_none"):
            reply = await w.api.send("GET", path)
            assert reply.status in (400, 404)


@pytest.mark.parametrize("how", ["by a call", "by reading", "waiting for it elsewhere"])
async def test_a_limit_is_that_of_the_newest_attempt_that_has_begun(how: str) -> None:
    """The worker of the first attempt died while its call was in flight. Nobody knows of the limit
    but the gateway, so the second attempt gets it, and not another call."""
    slow = Rule(latency=5, contains="hello")
    limits: dict[str, Any] = {"upstream_timeout_seconds": 1.0}
    async with (
        ScriptedUpstream([slow, Rule(usage=USED)]) as upstream,
        running_gateway(upstream.url, **limits) as gateway,
        running_gateway(upstream.url, database=gateway.database, **limits) as other,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        elsewhere = Agent(Api(other.url, http), agent.id, agent.key)
        first = asyncio.create_task(call(agent))
        await until(lambda: upstream.count == 1)
        if how == "by a call":
            assert (await call(elsewhere, 2, body("first another one"))).status == 200
        elif how == "by reading":
            reply = await agent.api.send("GET", "/v1/scopes/s?attempt=2", key=agent.key)
            assert (reply.json["attempt"], reply.json["last_limit"]) == (2, None)
        else:
            waiting = asyncio.create_task(call(elsewhere, 2))
        count = upstream.count
        assert (await first).status == (409 if how == "by reading" else 504)
        second = await (waiting if how == "waiting for it elsewhere" else call(elsewhere, 2))
        assert (second.status, second.error["code"]) == (504, "limit_reached")
        assert upstream.count == count
        async with asyncio.timeout(10):  # it is noted after it was answered
            while ((found := await state(agent))["last_failure"] or {}).get("attempt") != 2:
                await asyncio.sleep(0.01)
        assert (found["attempt"], found["last_limit"]) == (2, 2)
        assert found["last_failure"]["error"]["code"] == "limit_reached"
        assert (await call(agent, 3)).error["code"] == "upstream_timeout"


async def test_a_call_that_ran_into_a_limit_is_made_once_in_an_attempt() -> None:
    slow = Rule(latency=5)
    async with world(slow, upstream_timeout_seconds=0.5) as w:
        agent = await w.api.open()
        assert (await call(agent)).error["code"] == "upstream_timeout"
        again = await call(agent, headers=RETRY)
        assert (again.status, again.error["code"]) == (504, "limit_reached")
        assert again.headers["x-should-retry"] == "false"
        assert w.upstream.count == 1
        found = await state(agent)
        assert found["possibly_billed_calls"] == 1
        [line] = await agent.ledger("?kind=possibly_billed&scope=s")
        assert (line["scope"], line["attempt"]) == ("s", 1)
        assert (await call(agent, 2)).error["code"] == "upstream_timeout"
