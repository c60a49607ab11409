"""The whole path from a provider's answer to the run: what it waits for, what parks, what it costs.
The bodies are as people reported them."""

import asyncio
import uuid
from typing import Any

import pytest
from temporalio.client import Client

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.support.packages import Rooms, all_rooms
from tests.support.run_reports import report_of
from tests.support.upstream import Rule
from tests.workflows.runs import team, until
from tests.workflows.test_out_of_funds import all_parked

QUOTA = {
    "message": "You exceeded your current quota, please check your plan and billing details.",
    "type": "insufficient_quota",
    "param": None,
    "code": "insufficient_quota",
}
UNPAID = {
    "quota": Rule(status=429, body={"error": QUOTA}),
    "error instead of choices": Rule(body={"error": {"message": "No credits", "code": 402}}),
}
LIMITED = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": None}}],
    "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    "error": {"message": "Provider returned error", "code": 429},
}


def two_tasks() -> dict[str, Any]:
    agents = {"research": {"role": "R", "budget_usd": 1, "on_failure": "fail"}}
    tasks = [{"id": each, "agent": "research", "ask": f"Do {each}."} for each in ("a", "b")]
    return team(agents=agents, tasks=tasks, result=None, final="handoff")


async def assert_paid_once(rooms: Rooms, handle: Any) -> None:
    report = await report_of(handle, 30)
    assert report.status is RunStatus.COMPLETED
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    assert report.spend.total.spent_usd == rooms.ledger_usd()
    assert report.spend.total.failed_calls == 0
    assert report.spend.total.possibly_billed_calls == 0


@pytest.mark.parametrize("which", UNPAID)
async def test_the_operators_money_is_gone_until_he_has_paid(client: Client, which: str) -> None:
    async with all_rooms(client) as rooms:
        rule = UNPAID[which]
        rooms.upstream.add(rule)
        handle = await rooms.start({"team": two_tasks()}, f"run-{uuid.uuid4()}")
        now = await until(handle, all_parked(2))
        [waiting] = now.waiting
        assert (waiting.type, waiting.calls) == (ErrorType.UPSTREAM_OUT_OF_FUNDS, 2)
        assert waiting.reason.startswith("upstream default: ")
        assert rooms.upstream.count <= 8, "probes, not attempts"
        assert rooms.ledger_usd() == 0
        rooms.upstream.clear()
        await handle.signal("resume", {})
        await assert_paid_once(rooms, handle)


async def test_a_rate_limit_inside_a_200_is_waited_for(client: Client) -> None:
    """With `max_attempts: 1`: it is no attempt."""
    async with all_rooms(client) as rooms:
        rooms.upstream.add(Rule(body=LIMITED, headers={"retry-after-ms": "300"}, times=2))
        changed = two_tasks()
        changed["agents"]["research"]["retry"] = {"max_attempts": 1, "initial_seconds": 0.1}
        async with asyncio.timeout(40):
            handle = await rooms.start({"team": changed}, f"run-{uuid.uuid4()}")
            await assert_paid_once(rooms, handle)
