"""What the gateway gives up after it was sent is recorded: by account, key, bound and cause."""

import asyncio
import signal
import socket
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from tests.gateway.client import Agent, Api, body, bound, streamed, world
from tests.support.gateway import PARENT_KEY, running_gateway
from tests.support.gateway_process import gateway_process
from tests.support.upstream import Rule, ScriptedUpstream

USED = {"prompt_tokens": 20, "completion_tokens": 5}
MOST = Decimal(bound(body())) / 1_000_000


async def given_up(agent: Agent, query: str = "") -> list[Any]:
    return await agent.ledger(f"?kind=possibly_billed{query}")


@pytest.mark.parametrize(
    ("rule", "code", "cause"),
    [
        (Rule(latency=5), "upstream_timeout", "upstream_timeout"),
        (Rule(disconnect="before"), "upstream_broke_off", "upstream_broke_off"),
        (Rule(disconnect="middle"), "upstream_broke_off", "upstream_broke_off"),
        (Rule(body="<html>"), "malformed_upstream", "malformed_answer"),
    ],
)
async def test_a_call_that_is_given_up_after_it_was_sent(rule: Rule, code: str, cause: str) -> None:
    """The account pays only for the answer; each request that broke off stays possibly billed."""
    rule.times, rule.used = 2, 0
    async with world(rule, Rule(usage=USED), upstream_timeout_seconds=0.4) as w:
        agent = await w.api.open()
        for number in (1, 2):
            reply = await agent.chat(key="k")
            assert reply.error["code"] == code
            assert reply.error["possibly_billed_usd"] == MOST
            assert f"billed to the operator, for at most {MOST:f} USD" in reply.error["message"]
            assert reply.headers["x-account-possibly-billed-calls"] == str(number)
        answered = await agent.chat(key="k")
        assert answered.status == 200
        assert Decimal(answered.headers["x-account-possibly-billed-usd"]) == 2 * MOST
        account = await agent.account()
        assert (account["possibly_billed_calls"], account["possibly_billed"]) == (2, 2 * MOST)
        assert (account["spent"], account["reserved"]) == (Decimal("0.00003"), 0)
        first, second = await given_up(agent)
        assert (first["idempotency_key"], first["model"], first["cause"]) == ("k", "m", cause)
        assert (first["kind"], first["amount"], first["bound"]) == ("possibly_billed", 0, MOST)
        assert first["created_at"] <= second["created_at"]
        assert await given_up(agent, f"&after={first['id']}") == [second]
        assert await given_up(agent, "&idempotency_key=other") == []
        [charge] = await agent.ledger()
        assert charge["amount"] == Decimal("0.00003")


@pytest.mark.parametrize(
    "rule",
    [
        Rule(status=429),
        Rule(status=400),
        Rule(status=500),
        Rule(status=503, body="no"),
        Rule(usage=USED),
        Rule(status=500, body={"error": "no", "usage": USED}),
    ],
)
async def test_a_complete_answer_is_not_possibly_billed(rule: Rule) -> None:
    """It is billed, by its usage, or it is not."""
    async with world(rule) as w:
        agent = await w.api.open()
        await agent.chat(key="k")
        account = await agent.account()
        assert (account["possibly_billed_calls"], account["possibly_billed"]) == (0, 0)
        assert await given_up(agent) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
async def test_a_request_that_was_not_sent_is_not_possibly_billed(host: str) -> None:
    async with (
        running_gateway(f"http://{host}:1/v1") as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        assert (await agent.chat(key="k")).error["code"] == "upstream_unreachable"
        assert (await agent.account())["possibly_billed_calls"] == 0


async def test_a_connection_that_is_never_made_is_not_possibly_billed() -> None:
    """The time limit ends a call that was sent; a connection has to be made before that."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for each in (first, second):  # they fill the queue, so that the next one hangs
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        async with (
            running_gateway(url, upstream_timeout_seconds=1) as gateway,
            aiohttp.ClientSession() as http,
        ):
            agent = await Api(gateway.url, http).open()
            assert (await agent.chat(key="k")).error["code"] == "upstream_unreachable"
            assert (await agent.account())["possibly_billed_calls"] == 0


async def test_a_killed_gateway_has_possibly_billed_what_it_was_calling() -> None:
    async with (
        ScriptedUpstream([Rule(latency=30, times=1), Rule(usage=USED)]) as upstream,
        gateway_process(upstream.url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        call = asyncio.create_task(agent.chat(key="k"))
        await agent.until_reserved()
        await gateway.end(signal.SIGKILL)
        await asyncio.gather(call, return_exceptions=True)
        await gateway.start()
        assert (await agent.chat(key="k")).status == 200
        account = await agent.account()
        assert (account["possibly_billed_calls"], account["possibly_billed"]) == (1, MOST)
        [line] = await given_up(agent)
        assert (line["idempotency_key"], line["cause"]) == ("k", "gateway_died")
        assert (account["charges"], account["reserved"]) == (1, 0)


async def test_an_interrupted_stream_says_what_it_may_have_cost() -> None:
    async with world(Rule(disconnect="middle", finish=False, usage="missing")) as w:
        agent = await w.api.open()
        reply = await agent.chat(streamed())
        most = Decimal(bound({**streamed(), "stream_options": {"include_usage": True}}))
        assert reply.events[-1]["error"]["possibly_billed_usd"] == most / 1_000_000
        assert (await agent.account())["possibly_billed_calls"] == 1


async def test_the_gateway_waits_as_long_as_the_call_asks() -> None:
    """Above UPSTREAM_TIMEOUT_SECONDS, up to GATEWAY_MAX_CALL_SECONDS; its lease lasts as long."""
    settings = {"gateway_lease_seconds": 0.5, "gateway_max_call_seconds": 2.5}
    async with world(
        Rule(latency=1.5, times=1), Rule(latency=30), upstream_timeout_seconds=0.3, **settings
    ) as w:
        agent = await w.api.open()
        assert (await asking(agent, "slow", "2"))[0] == 200
        assert (await agent.account())["interrupted"] == {}
        status, error = await asking(agent, "hangs", "0.6")
        assert (status, error["code"]) == (504, "upstream_timeout")
        assert "within 0.6 s (X-Call-Timeout-Seconds, as the call asked)" in error["message"]
        assert "0.3 s (UPSTREAM_TIMEOUT_SECONDS)" in (await asking(agent, "b", "0.1"))[1]["message"]
        assert "2.5 s (GATEWAY_MAX_CALL_SECONDS)" in (await asking(agent, "c", "600"))[1]["message"]
        models = await w.api.send("GET", "/v1/models", key="")
        assert models.json["limits"] == {"max_call_seconds": Decimal("2.5")}


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (Rule(latency=5, times=2), "upstream_timeout"),
        (Rule(text="long " * 1000, times=2), "upstream_too_long"),
    ],
)
async def test_a_call_that_ran_into_a_limit_is_repeated_knowingly_only(
    rule: Rule, code: str
) -> None:
    """Whoever repeats it, whenever: the gateway remembers it."""
    limits: dict[str, Any] = {"upstream_timeout_seconds": 0.4, "gateway_max_answer_bytes": 2000}
    async with (
        world(rule, Rule(usage=USED), **limits) as w,
        running_gateway(w.upstream.url, database=w.gateway.database, **limits) as other,
    ):
        agent = await w.api.open()
        elsewhere = Agent(Api(other.url, w.api.http), agent.id, agent.key)
        at_once = [asking(each, "k", known="0") for each in (agent, elsewhere)]
        codes = {error["code"] for _, error in await asyncio.gather(*at_once)}
        assert codes in ({code}, {code, "limit_reached"})
        status, error = await asking(elsewhere, "k", known="0")
        assert (status, error["code"]) == (504, "limit_reached")
        assert error["possibly_billed_usd"] == float(MOST)
        assert (w.upstream.count, (await agent.account())["possibly_billed_calls"]) == (1, 1)
        assert (await asking(agent, "other", known="0"))[1]["code"] == code, "it is another call"
        assert (await asking(agent, "k", known="1"))[0] == 200
        assert (await asking(agent, "k", known="0"))[0] == 200, "its answer is stored"
        assert (await agent.account())["interrupted"] == {"upstream_broke_off": 2}
        assert (await asking(agent, "k", known="often"))[0] == 400


async def asking(
    agent: Agent, key: str, seconds: str | None = None, known: str | None = None
) -> tuple[int, Any]:
    given = {"X-Call-Timeout-Seconds": seconds, "X-Known-Limits": known}
    headers = {
        "Authorization": f"Bearer {agent.key}",
        "Idempotency-Key": key,
        **{name: value for name, value in given.items() if value is not None},
    }
    url = f"{agent.api.url}/v1/chat/completions"
    async with agent.api.http.post(url, json=body(), headers=headers) as response:
        return response.status, (await response.json()).get("error")


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "1e400", "1_0", ""])
async def test_a_timeout_that_is_not_one_is_refused(value: str) -> None:
    async with world() as w:
        status, error = await asking(await w.api.open(), "k", value)
        assert (status, "X-Call-Timeout-Seconds" in error["message"]) == (400, True)
        assert w.upstream.count == 0


async def test_an_unknown_kind_of_transaction_is_refused() -> None:
    async with world() as w:
        agent = await w.api.open()
        path = f"/v1/agents/{agent.id}/transactions?kind=refunds"
        reply = await w.api.send("GET", path, key=PARENT_KEY)
        assert (reply.status, "`kind`" in reply.error["message"]) == (400, True)
