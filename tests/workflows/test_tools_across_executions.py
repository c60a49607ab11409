"""A run that continues as new with calls of tools in flight, parked, or waiting for approval."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from durable_agent_team.client.run_executions import read_executions
from durable_agent_team.contracts.approvals import ApprovalsPage
from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from durable_agent_team.contracts.tool_call import ToolFailure, ToolOrder
from tests.support.tools import Said, ToolWorld, calls
from tests.workflows.runs import continuing, started
from tests.workflows.test_tool_effects import tool_team

SEND = {"python": "shop:send", "effects": "once", "approve": "never"}
REFUND = {"python": "shop:refund", "effects": "once", "approve": "always"}
LOOK = {"python": "shop:look", "effects": "none", "trusted": True}


def says(call: CallRequest) -> Said:
    """Two turns of three calls, then an answer."""
    assert call.conversation is not None
    results = [each for entry in call.conversation.entries for each in entry.results]
    if len(results) >= 6:
        return " | ".join(each.text for each in results)
    turn = len(results) // 3
    return calls(("send", {"n": turn}), ("refund", {"n": turn}), ("look", {"n": turn}))


async def tool(order: ToolOrder) -> str:
    """`send` of the second turn may have run."""
    await asyncio.sleep(0.1)
    if order.facts.name == "send" and order.key.endswith("2.1"):
        failure = ToolFailure(sent=True)
        raise ApplicationError("gone", failure, type=ErrorType.EFFECT_UNKNOWN, non_retryable=True)
    return f"{order.facts.name} {order.arguments}"


async def _operator(handle: WorkflowHandle[Any, Any]) -> None:
    """Approves with other arguments, and skips what may have run."""
    while True:
        try:
            state = RunState.model_validate(await handle.query("state"))
            for waiting in state.waiting:
                if waiting.type == ErrorType.EFFECT_UNKNOWN:
                    skip = {"task": waiting.subject, "decision": "skip"}
                    await handle.execute_update("answer", skip)
                else:
                    edited = {"subject": waiting.subject, "approved": True, "arguments": '{"n": 9}'}
                    await handle.execute_update("approve", edited)
        except (RPCError, WorkflowUpdateFailedError):
            pass  # it has just been answered, or the run continues or has ended
        await asyncio.sleep(0.2)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("events", [3, 4, 5, 7, 11, 17])
async def test_no_effect_is_repeated_wherever_it_continues(client: Client, events: int) -> None:
    world = ToolWorld(says, tool)
    given = {"team": tool_team(SEND, REFUND, LOOK)}
    async with continuing(client, world, given, events=events) as handle:
        operator = asyncio.create_task(_operator(handle))
        report: RunReport = await asyncio.wait_for(handle.result(), 150)
        operator.cancel()
        assert len(await read_executions(client, report.workflow_id)) > 1
    assert report.status is RunStatus.COMPLETED
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    made = Counter(
        (each.facts.name, each.key.rpartition(":")[2])
        for each in world.orders
        if each.facts.name != "look"
    )
    assert made == Counter({("send", "1.1"): 1, ("refund", "1.2"): 1, ("send", "2.1"): 1,
                            ("refund", "2.2"): 1})  # fmt: skip
    assert {each.arguments for each in world.orders if each.facts.name == "refund"} == {'{"n": 9}'}
    results = (report.outcomes[0].output or "").split(" | ")
    assert results[:3] == ['send {"n": 0}', 'refund {"n": 9}', 'look {"n": 0}']
    assert "not known whether it had its effect" in results[3]


async def test_wrong_messages_about_approvals_are_refused(client: Client) -> None:
    """Whatever comes in is refused or shown, and the call still waits; its content comes in
    parts."""
    long = "x" * 60_000
    world = ToolWorld(
        lambda call: "done" if call.conversation and call.conversation.entries else calls(
            ("refund", {"text": long}))
    )  # fmt: skip
    async with started(client, world, {"team": tool_team(REFUND)}) as handle:
        while not ApprovalsPage.model_validate(await handle.query("approvals")).approvals:
            await asyncio.sleep(0.05)
        for wrong in (
            {"subject": "work:1.1"},
            {"subject": "work:9.9", "approved": True},
            {"subject": "work:1.1", "approved": True, "sha256": "no"},
            {"subject": "work:1.1", "approved": True, "arguments": "[" * 60_000},
            {"subject": "work:1.1", "approved": True, "arguments": '{"a": NaN}'},
            {"subject": "work:1.1", "approved": False, "arguments": "{}"},
            {"subject": ["work:1.1"], "approved": True},
            [1, 2],
        ):
            with pytest.raises(WorkflowUpdateFailedError):
                await handle.execute_update("approve", wrong)
            if isinstance(wrong, dict):
                await handle.signal("adjust", {"kind": "approve", **wrong})
        state = RunState.model_validate(await handle.query("state"))
        assert [each.subject for each in state.waiting] == ["work:1.1"]
        assert len(state.refusals) == 7
        shown, size = "", 1
        while len(shown) < size:
            query = {"subject": "work:1.1", "first": len(shown)}
            (part,) = ApprovalsPage.model_validate(await handle.query("approvals", query)).approvals
            assert part.content, "a part is never empty"
            shown += str(part.content)
            size = part.content_characters or 0
        assert json.loads(shown) == {"text": long}
        await handle.execute_update("approve", {"subject": "work:1.1", "approved": False})
        report: RunReport = await handle.result()
    assert report.answer is not None
    assert world.orders == []
