"""Spans, metrics and log lines name run, task and agent, but contain no prompt and no answer."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

from durable_agent_team.providers.otel_variables import wanted
from tests.gateway.client import Agent, Api, body, streamed
from tests.support.gateway_process import GatewayProcess, gateway_process
from tests.support.otlp import Receiver, receiver
from tests.support.upstream import Rule, ScriptedUpstream

TRACE = "0af7651916cd43dd8448eb211c80319c"
USED = {"prompt_tokens": 20, "completion_tokens": 5}
OURS = (
    "agent_team.team=brief,agent_team.run=market%20run-1,agent_team.task=demand,"
    "agent_team.agent=research"
)
FOREIGN = f"userId=alice-of-the-tests,{OURS},agent_team.secret=sk-0123456789,agent=other"


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, False),
    ],
)
def test_telemetry_is_off_unless_the_environment_turns_it_on(
    environment: Mapping[str, str], on: bool
) -> None:
    assert wanted(environment) is on


def test_each_signal_is_turned_on_separately() -> None:
    only_metrics = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://x/v1/metrics"}
    assert wanted(only_metrics, "metrics")
    assert not wanted(only_metrics, "traces")
    assert not wanted(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_METRICS_EXPORTER": "none"}, "metrics"
    )


async def session(received: Receiver, **settings: Any) -> tuple[str, int]:
    """Makes a call, its replay, a failed and a refused call. Returns the log and the charges."""
    rules = [Rule(text="secret answer", usage=USED, times=1), Rule(status=500)]
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "baggage": FOREIGN}
    async with (
        ScriptedUpstream(rules) as upstream,
        gateway_process(
            upstream.url, otel_exporter_otlp_endpoint=received.url, **settings
        ) as gateway,
        aiohttp.ClientSession(headers=headers) as http,
    ):
        agent = await Api(gateway.url, http).open()
        assert (await agent.chat(body("secret prompt"), key="call-1")).status == 200
        assert (await agent.chat(body("secret prompt"), key="call-1")).status == 200
        assert (await agent.chat(body("secret prompt"), key="call-2")).status == 500
        assert (await agent.chat(body("secret prompt", max_tokens=10**6), key="c-3")).status == 402
        return await ended(gateway, agent)


async def ended(gateway: GatewayProcess, agent: Agent) -> tuple[str, int]:
    spent = int(sum(line["amount"] for line in await agent.ledger()) * 10**6)
    assert await asyncio.wait_for(gateway.end(15), 20) == 0
    return gateway.log, spent


async def test_spans_are_exported() -> None:
    async with receiver() as received:
        await session(received)
    chats = [each for each in received.spans if each.span.name.startswith("chat")]
    [answered, replayed, failed, refused] = chats
    assert {each.span.trace_id.hex() for each in received.spans} == {TRACE}
    assert {each.span.name for each in chats} == {"chat m"}
    found = answered.attributes
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.request.model"] == "m"
    assert found["gen_ai.usage.input_tokens"] == 20
    assert found["gen_ai.usage.output_tokens"] == 5
    assert found["cost_usd"] == 0.00003
    assert found["agent_team.run"] == "market run-1"
    assert found["agent_team.task"] == "demand"
    assert found["agent_team.agent"] == "research"
    assert found["agent_team.call_key"] == "call-1"
    assert replayed.attributes["atxp.replayed"] is True
    assert failed.attributes["error.type"] == "upstream_500"
    assert refused.attributes["error.type"] == "budget_exhausted"
    for text in (b"secret prompt", b"secret answer", b"alice", b"sk-0123456789"):
        assert text not in received.raw


async def test_account_requests_have_spans() -> None:
    """They are named after the route, without the account id. /healthz has no span."""
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "baggage": FOREIGN}
    async with (
        receiver() as received,
        ScriptedUpstream() as upstream,
        gateway_process(upstream.url, otel_exporter_otlp_endpoint=received.url) as gateway,
        aiohttp.ClientSession(headers=headers) as http,
    ):
        api = Api(gateway.url, http)
        one, other = await api.open(), await api.open()
        await one.account()
        assert (await one.patch(budget=2)).status == 200
        transfer = {"from": one.id, "to": other.id, "amount": 1}
        assert (await api.send("POST", "/v1/transfers", transfer)).status == 200
        assert (await api.send("GET", "/v1/agents/nobody")).status == 404
        assert (await api.send("GET", "/healthz")).status == 200
        await ended(gateway, one)
    assert {each.span.name for each in received.spans} == {
        "POST /v1/agents",
        "GET /v1/agents/{id}",
        "PATCH /v1/agents/{id}",
        "POST /v1/transfers",
        "GET /v1/agents/{id}/transactions",
    }
    for each in received.spans:
        assert each.span.trace_id.hex() == TRACE
        assert each.attributes["agent_team.run"] == "market run-1"
        assert each.attributes["agent_team.agent"] == "research"
        assert "agent_team.call_key" not in each.attributes
    [refused] = [each for each in received.spans if "error.type" in each.attributes]
    assert refused.attributes["error.type"] == "not_found"
    assert refused.attributes["http.response.status_code"] == 404
    assert list(received.points("gateway.calls")) == [], (
        "only chat completions are counted as calls"
    )
    assert b"alice" not in received.raw


async def test_the_metrics_equal_the_ledger() -> None:
    async with receiver() as received:
        _, spent = await session(received)
    labels = {
        "agent_team_team": "brief",
        "gen_ai_agent_name": "research",
        "gen_ai_request_model": "m",
    }
    assert received.total("gateway.spend_micro_usd", **labels) == spent == 30
    assert received.total("gateway.spend_micro_usd") == spent
    assert received.total("gateway.tokens", gen_ai_token_type="input") == 20
    assert received.total("gateway.tokens", gen_ai_token_type="output") == 5
    assert received.total("gateway.reservations") == 2
    assert received.total("gateway.released", gateway_cause="not_billed") == 1
    assert received.total("gateway.reserved_micro_usd") == 0
    assert received.total("gateway.refusals", gateway_reason="budget_exhausted") == 1
    outcomes = {p.attributes["gateway.outcome"]: p.value for p in received.points("gateway.calls")}
    assert outcomes == {"ok": 1, "replayed": 1, "upstream_error": 1, "refused": 1}
    assert sum(p.count for p in received.points("gen_ai.server.request.duration")) == 4
    for point in received.series.values():
        assert not {"agent_team.run", "agent_team.task", "agent_team.call_key"} & set(
            point.attributes
        ), "runs and tasks must not be metric labels: their number is unlimited"


async def test_streams_are_counted_by_outcome() -> None:
    """The last two had sent status 200 before they failed."""
    rules = [
        Rule(text="secret answer", usage=USED, times=1),
        Rule(text="secret answer", stream_error={"message": "overloaded"}, times=1),
        Rule(text="secret answer", disconnect="middle", times=1),
    ]
    async with (
        receiver() as received,
        ScriptedUpstream(rules) as upstream,
        gateway_process(upstream.url, otel_exporter_otlp_endpoint=received.url) as gateway,
        aiohttp.ClientSession(headers={"baggage": OURS}) as http,
    ):
        agent = await Api(gateway.url, http).open()
        replies = [await agent.chat(streamed("secret prompt"), key=f"k{n}") for n in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 200]
        assert (await agent.chat(streamed("secret prompt"), key="k0")).status == 200
        _, spent = await ended(gateway, agent)
    outcomes = {p.attributes["gateway.outcome"]: p.value for p in received.points("gateway.calls")}
    assert outcomes == {"ok": 1, "upstream_error": 2, "replayed": 1}
    assert received.total("gateway.spend_micro_usd", agent_team_team="brief") == spent >= 30
    assert received.total("gateway.reserved_micro_usd") == 0
    assert b"secret" not in received.raw


async def test_an_overrun_is_counted_separately_from_spend() -> None:
    greedy = {"prompt_tokens": 1_000_000, "completion_tokens": 5}
    async with (
        receiver() as received,
        ScriptedUpstream([Rule(usage=greedy)]) as upstream,
        gateway_process(upstream.url, otel_exporter_otlp_endpoint=received.url) as gateway,
        aiohttp.ClientSession() as http,
    ):
        agent = await Api(gateway.url, http).open()
        await agent.chat(body("hi"))
        assert (await agent.chat(body("hi"))).error["code"] == "model_refused"
        _, spent = await ended(gateway, agent)
    over = received.total("gateway.overrun_micro_usd", gen_ai_request_model="m")
    assert over + spent == 1_000_000 + 2 * 5
    assert received.total("gateway.spend_micro_usd") == spent
    assert received.total("gateway.refusals", gateway_reason="model_refused") == 1


async def test_log_lines_name_the_run_task_and_agent() -> None:
    async with receiver() as received:
        log, _ = await session(received)
    lines = [json.loads(line) for line in log.splitlines()]
    chats = [line for line in lines if "/v1/chat/completions" in line["message"]]
    assert len(chats) == 4
    first = chats[0]
    assert first["workflow_id"] == "market run-1"
    assert (first["team"], first["task"], first["agent"]) == ("brief", "demand", "research")
    assert first["call_key"] == "call-1"
    assert first["trace_id"] == TRACE
    assert len(first["span_id"]) == 16
    assert "alice" not in log
    assert "secret" not in log


async def test_without_telemetry_log_lines_have_the_callers_trace() -> None:
    """With LOG_FORMAT=text."""
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "baggage": OURS}
    async with (
        ScriptedUpstream() as upstream,
        gateway_process(upstream.url, log_format="text") as gateway,
        aiohttp.ClientSession(headers=headers) as http,
    ):
        agent = await Api(gateway.url, http).open()
        assert (await agent.chat(body("hi"))).status == 200
        log, _ = await ended(gateway, agent)
    [line] = [line for line in log.splitlines() if "/v1/chat/completions" in line]
    assert "task=demand" in line
    assert f"trace_id={TRACE}" in line


@pytest.mark.parametrize(
    "sent",
    [
        "agent_team.team=" + "x" * 300,
        "agent_team.team=two%0Alines",
        "agent_team.team=%22quoted%22",
        "agent_team.team",
        ";;;=,,,=",
    ],
)
async def test_invalid_baggage_is_ignored(sent: str) -> None:
    async with (
        receiver() as received,
        ScriptedUpstream() as upstream,
        gateway_process(upstream.url, otel_exporter_otlp_endpoint=received.url) as gateway,
        aiohttp.ClientSession(headers={"baggage": sent}) as http,
    ):
        agent = await Api(gateway.url, http).open()
        assert (await agent.chat(body("hi"))).status == 200
        await ended(gateway, agent)
    [point] = received.points("gateway.spend_micro_usd")
    assert point.attributes["agent_team.team"] == "unknown"
