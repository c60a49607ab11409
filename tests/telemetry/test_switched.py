"""Telemetry switched on or off while a run goes on: its keys, its replay and its money stay."""

import asyncio
import contextlib
import json
import signal
from pathlib import Path

import pytest
import yaml
from temporalio.client import Client
from temporalio.service import RPCError

from tests.support.gateway_process import gateway_process
from tests.support.otlp import receiver
from tests.support.temporal import server
from tests.support.upstream import Rule, ScriptedUpstream
from tests.telemetry.stage import LONG, RUN, TEAM, Desk, environment, ledger

OFF = {"OTEL_SDK_DISABLED": "true"}


@pytest.mark.parametrize("on_first", [True, False])
async def test_a_run_goes_on_under_the_other_worker(tmp_path: Path, on_first: bool) -> None:
    first, second = ({}, OFF) if on_first else (OFF, {})
    async with (
        receiver() as received,
        ScriptedUpstream([Rule(text=LONG)]) as upstream,
        gateway_process(upstream.url) as gateway,
        server() as temporal,
    ):
        address = temporal.client.service_client.config.target_host
        desk = Desk(tmp_path, gateway, address, received)
        (tmp_path / "team.yaml").write_text(yaml.safe_dump(TEAM, sort_keys=False))
        async with desk.worker(**first) as worker:
            await desk.starter("start", str(tmp_path / "team.yaml"), "--id", RUN)
            await parked(temporal.client)
            worker.send_signal(signal.SIGKILL)
            await worker.wait()
        async with desk.worker(**second):
            await desk.starter("budget", RUN, "poor", "1")
            await desk.starter("result", RUN)
            spend = json.loads(await desk.starter("spend", RUN, "--json"))
        assert spend["ledger_agrees"] == "yes"
        booked = sum(line.micro_usd for line in ledger(gateway))
        assert round(float(spend["total"]["spent_usd"]) * 1_000_000) == booked
        assert upstream.count == len(ledger(gateway)) == len(upstream.by_key)


async def parked(client: Client) -> None:
    """Until a task of the run waits for somebody."""
    run = client.get_workflow_handle(RUN)
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(RPCError):  # its worker has not seen it yet
                if (await run.query("state"))["waiting"]:
                    return
            await asyncio.sleep(0.1)


async def test_traces_alone_know_the_team_too(tmp_path: Path) -> None:
    async with (
        receiver() as received,
        ScriptedUpstream([Rule(text=LONG)]) as upstream,
        gateway_process(upstream.url, **environment(received)) as gateway,
        server() as temporal,
    ):
        address = temporal.client.service_client.config.target_host
        desk = Desk(tmp_path, gateway, address, received)
        agents = {name: {**each, "budget_usd": 1} for name, each in TEAM["agents"].items()}
        (tmp_path / "team.yaml").write_text(yaml.safe_dump({**TEAM, "agents": agents}))
        async with desk.worker(OTEL_METRICS_EXPORTER="none") as worker:
            await desk.starter("run", str(tmp_path / "team.yaml"), "--id", RUN)
            worker.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(worker.wait(), 40) == 0
        assert await asyncio.wait_for(gateway.end(signal.SIGTERM), 40) == 0
    names = {point.name for point in received.series.values()}
    assert "gateway.spend_micro_usd" in names
    assert not any(name.startswith(("agent_team.", "temporal_")) for name in names)
    chats = [each for each in received.spans if each.span.name.startswith("chat ")]
    assert {each.service for each in chats} == {"atxp-gateway", "durable-agent-team"}
    assert {each.attributes["agent_team.team"] for each in chats} == {"brief"}
    assert received.total("gateway.spend_micro_usd", agent_team_team="brief") > 0
