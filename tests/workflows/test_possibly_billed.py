"""A call that the gateway gives up is made once, and shown as possibly billed to the operator."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from durable_agent_team.cli.provider_accounts import ledgers_of
from durable_agent_team.cli.provider_catalog import read_provider
from durable_agent_team.cli.team_findings import check_team, finding_text
from durable_agent_team.cli.ui.charge_lines import ChargeLine, charge_lines
from durable_agent_team.cli.ui.charge_table import charge_table
from durable_agent_team.cli.ui.report_facts import RunFile
from durable_agent_team.cli.ui.report_formats import FORMATS
from durable_agent_team.cli.ui.run_tables import report_text
from durable_agent_team.cli.ui.spend_table import spend_table
from durable_agent_team.cli.ui.watch_run import Snapshot
from durable_agent_team.client.run_history import read_record
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus, Waiting
from durable_agent_team.contracts.spend import LedgerAgreement, SpendReport
from tests.cli.support import TEAM
from tests.cli.test_live import drawn
from tests.support.packages import Rooms, all_rooms
from tests.support.upstream import Rule


def payload(**research: Any) -> dict[str, Any]:
    """A run of two calls: one task, and the answer."""
    return {
        "team": {
            "name": "brief",
            "goal": "Decide whether to enter",
            "orchestrator": {"budget_usd": 1},
            "agents": {"research": {"role": "Researcher", "budget_usd": 1, **research}},
            "tasks": [{"id": "facts", "agent": "research", "ask": "List."}],
        }
    }


async def parked(handle: WorkflowHandle[Any, Any]) -> Waiting:
    """What waits, as soon as something does."""
    async with asyncio.timeout(60):
        while True:
            state = RunState.model_validate(await handle.query("state"))
            if state.waiting:
                return state.waiting[0]
            await asyncio.sleep(0.1)


async def charges(rooms: Rooms, run: str) -> tuple[ChargeLine, ...]:
    record = await read_record(rooms.client, run)
    key = SecretStr(rooms.gateway.parent_key)
    return charge_lines(record, await ledgers_of(record.accounts, rooms.gateway.base_url, key))


async def test_a_call_slower_than_the_gateways_limit(client: Client) -> None:
    """One call upstream, parked; an operator's retry makes it again, knowing what it may cost."""
    async with all_rooms(client, upstream_timeout_seconds=1.2) as rooms:
        rooms.upstream.add(Rule(contains="List.", latency=20, times=1))
        handle = await rooms.start(payload(timeout_seconds=1), "slower-than-the-gateway")
        waiting = await parked(handle)
        assert waiting.type == ErrorType.GATEWAY_LIMIT
        # The last attempt was there when the gateway gave up, or it came later and is told so.
        told = ("within 1.2 s (UPSTREAM_TIMEOUT_SECONDS)", "ended this call before, at its limit")
        assert any(each in waiting.reason for each in told)
        assert "retry slower-than-the-gateway facts --since" in waiting.command
        assert rooms.upstream.count == 1
        spend = SpendReport.model_validate(await handle.query("spend"))
        most = spend.total.possibly_billed_usd
        assert most > 0
        assert [each.possibly_billed_calls for each in spend.agents] == [0, 1]
        assert f"billed to the operator, for at most {most:f} USD" in waiting.reason
        text = f"may have been billed to the operator: 1 call, at most {most:f} USD"
        assert text in spend_table(spend)
        state = RunState.model_validate(await handle.query("state"))
        assert text in drawn(Snapshot(state, spend), 80)
        raised = {"agent": "research", "budget_usd": "1.5"}
        await handle.execute_update("adjust_budget", raised)
        moved = {"from_agent": "orchestrator", "to_agent": "research", "amount_usd": "0.1"}
        await handle.execute_update("transfer", moved)
        await asyncio.sleep(0.5)
        assert (await parked(handle), rooms.upstream.count) == (waiting, 1), "money is no retry"

        await handle.execute_update("retry_task", {"task": "facts"})
        report: RunReport = await handle.result()
        assert report.status is RunStatus.COMPLETED
        assert report.spend.ledger_agrees is LedgerAgreement.YES
        total = report.spend.total
        assert (total.possibly_billed_calls, total.possibly_billed_usd) == (1, most)
        assert total.spent_usd == rooms.ledger_usd() > 0
        assert ([each.calls for each in report.spend.agents], rooms.upstream.count) == ([1, 2], 3)
        assert text in report_text(report)
        for write in FORMATS.values():
            written = write(RunFile(report=report, timeline=()))
            assert text in written or '"possibly_billed_calls": 1' in written

        lines = await charges(rooms, "slower-than-the-gateway")
        found = [
            (each.task, each.possibly_billed_calls, each.possibly_billed_usd) for each in lines
        ]
        assert found == [("facts", 0, 0), ("facts", 1, most), ("answer", 0, 0)]
        assert not any("DIFFERS" in each.note for each in lines)
        assert text in charge_table(lines).splitlines()[-1]


async def test_what_is_answered_in_the_end_stays_possibly_billed(client: Client) -> None:
    """An upstream that breaks off is called as often as the policy says; each call is counted."""
    async with all_rooms(client) as rooms:
        rooms.upstream.add(Rule(contains="List.", disconnect="before", times=2))
        handle = await rooms.start(payload(), "answered-in-the-end")
        report: RunReport = await handle.result()
        assert report.status is RunStatus.COMPLETED
        agent = report.spend.agents[1]
        assert (agent.possibly_billed_calls, agent.failed_attempts_usd) == (2, Decimal(0))
        line, _ = await charges(rooms, "answered-in-the-end")
        assert line.amount_usd == line.ledger_usd
        assert line.possibly_billed_calls == 2
        assert line.possibly_billed_usd == agent.possibly_billed_usd > 0


async def test_an_attempt_shorter_than_the_call_takes_up_its_answer(client: Client) -> None:
    """The gateway continues; the next attempt gets the answer under the same key."""
    async with all_rooms(client, upstream_timeout_seconds=60) as rooms:
        rooms.upstream.add(Rule(contains="List.", latency=2, times=1))
        handle = await rooms.start(payload(timeout_seconds=0.8), "shorter-attempts")
        report: RunReport = await handle.result()
        assert report.status is RunStatus.COMPLETED
        assert rooms.upstream.count == 2
        assert report.spend.total.possibly_billed_calls == 0


async def test_the_gateway_waits_as_long_as_the_agent(client: Client) -> None:
    async with all_rooms(
        client, upstream_timeout_seconds=0.5, gateway_max_call_seconds=100
    ) as rooms:
        rooms.upstream.add(Rule(contains="List.", latency=1.5, times=1))
        handle = await rooms.start(payload(timeout_seconds=90), "as-long-as-the-agent")
        report: RunReport = await handle.result()
        assert (report.status, rooms.upstream.count) == (RunStatus.COMPLETED, 2)
        assert report.spend.total.possibly_billed_calls == 0


async def test_a_timeout_above_the_gateways_is_refused(client: Client, tmp_path: Path) -> None:
    """By `validate` and at the start, with both figures and the setting; nothing is paid."""
    team = tmp_path / "team.yaml"
    slow = "Editor, budget_usd: 1, timeout_seconds: 600"
    team.write_text(TEAM.replace("Editor, budget_usd: 1", slow), encoding="utf-8")
    async with all_rooms(client, upstream_timeout_seconds=120) as rooms:
        provider = await asyncio.to_thread(read_provider, rooms.gateway.base_url, "m")
        (finding,) = check_team(team, None, (), provider, has_store=False).findings
        assert finding.level == "error"
        assert finding_text(finding).endswith(
            "agents.editor.timeout_seconds = 600: the gateway ends a call after 120 s, and it may"
            " be billed by then (lower it to 120 at most, or raise GATEWAY_MAX_CALL_SECONDS at the"
            " gateway)"
        )
        handle = await rooms.start(payload(timeout_seconds=600), "above-the-gateway")
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
        cause = caught.value.cause
        assert isinstance(cause, ApplicationError)
        assert cause.type == ErrorType.INVALID_INPUT
        assert "agents.research.timeout_seconds = 600" in str(cause)
        assert rooms.upstream.count == 0
    async with all_rooms(client) as rooms:  # by default, an hour
        provider = await asyncio.to_thread(read_provider, rooms.gateway.base_url, "m")
        assert check_team(team, None, (), provider, has_store=False).findings == []
