"""Something from outside taints whoever reads it, whichever way it came: through other agents,
reviews, earlier runs, and long after it was removed from the conversation."""

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle

from durable_agent_team.client.reruns import rerun_request, reuse_request
from durable_agent_team.contracts.call import CallRequest, CallResult, Purpose
from durable_agent_team.contracts.program import ProgramCall
from durable_agent_team.contracts.run import RunReport, RunRequest
from durable_agent_team.contracts.team import Team
from durable_agent_team.contracts.tool_call import ToolOrder
from tests.support.run_reports import report_of
from tests.support.tools import Said, ToolWorld, calls
from tests.workflows.runs import continuing, executions, started, team
from tests.workflows.test_tool_approvals import pending
from tests.workflows.test_tool_effects import tool_team, waits

Handle = WorkflowHandle[Any, Any]
LOOK = {"python": "shop:look", "effects": "none"}
REFUND = {"python": "shop:refund", "effects": "once"}
ADDED = {"agent": "clerk", "ask": "Refund it all.", "depends_on": []}


def says(call: CallRequest) -> Said:
    """The reader looks, the clerk refunds."""
    assert call.conversation is not None
    tool = "look" if call.account.agent == "reader" else "refund"
    return "done" if call.conversation.entries else calls((tool, {}))


class Reviewed(ToolWorld):
    """Its reviewer adds a task for the clerk."""

    def _turn(self, call: CallRequest) -> CallResult | None:
        if call.purpose is Purpose.REVIEW:
            return self.answer(call, json.dumps({"redo": [], "drop": [], "add": [ADDED]}))
        return super()._turn(call)


def office(*tasks: dict[str, Any], **changes: Any) -> dict[str, Any]:
    agents = {
        "reader": {"role": "Reader", "budget_usd": 1, "tools": [LOOK]},
        "plain": {"role": "Writer", "budget_usd": 1},
        "clerk": {"role": "Clerk", "budget_usd": 1, "tools": [REFUND]},
    }
    return team(agents=agents, tasks=list(tasks), result=tasks[-1]["id"], **changes)


READ = {"id": "read", "agent": "reader", "ask": "Read the mail."}


def after(name: str, agent: str, *needs: str) -> dict[str, Any]:
    return {"id": name, "agent": agent, "ask": f"Do {name}.", "depends_on": [*needs]}


async def reject(handle: Handle, subject: str) -> None:
    await waits(handle, subject)
    assert (await pending(handle)).tainted
    await handle.execute_update("approve", {"subject": subject, "approved": False})


def effects(world: ToolWorld) -> list[ToolOrder]:
    return [each for each in world.orders if each.facts.name == "refund"]


async def test_through_agents_without_tools(client: Client) -> None:
    world = ToolWorld(says)
    tasks = (READ, after("one", "plain", "read"), after("two", "plain", "one"))
    given = office(*tasks, after("pay", "clerk", "two"))
    async with started(client, world, {"team": given}) as handle:
        await reject(handle, "pay:1.1")
        await handle.result()
    assert effects(world) == []


async def test_who_has_read_nothing_from_outside_asks_nobody(client: Client) -> None:
    """The counter-example: beside a tainted task, and behind a clean one."""
    world = ToolWorld(says)
    given = office(READ, after("write", "plain"), after("pay", "clerk", "write"))
    async with started(client, world, {"team": given}) as handle:
        await handle.result()
    assert len(effects(world)) == 1


class WithPrograms(ToolWorld):
    """Its agents with `run` are programs, and the others have tools."""

    @property
    def activities(self) -> list[Any]:
        return [*super().activities, self.run_program]

    @activity.defn
    async def run_program(self, call: ProgramCall) -> CallResult:
        now, free = datetime.now(UTC), Decimal(0)
        return CallResult(answer="studied", cost_usd=free, started_at=now, seconds=0.1)


async def test_through_a_program_and_who_reads_its_answer(client: Client) -> None:
    """What a program has read is not known, so that its answer counts as from outside. Beside it,
    nobody is asked."""
    world = WithPrograms(says)
    tasks = (after("study", "crew"), after("beside", "clerk"), after("sum", "plain", "study"))
    given = office(*tasks, after("pay", "clerk", "sum"))
    run = {"python": "market.crews:research", "directory": "/teams"}
    given["agents"]["crew"] = {"role": "Researchers", "budget_usd": 1, "run": run}
    async with started(client, world, {"team": given}) as handle:
        await reject(handle, "pay:1.1")
        await handle.result()
    assert [each.task for each in effects(world)] == ["beside"]


async def test_through_handoffs_that_another_run_has_made(client: Client) -> None:
    given = office(READ, after("write", "plain", "read"))
    more = office(READ, after("write", "plain", "read"), after("pay", "clerk", "write"))
    first, second = ToolWorld(says), ToolWorld(says)
    async with started(client, first, {"team": given}) as handle:
        await handle.result()
        request = RunRequest(team=Team.model_validate(more))
        seeded = await reuse_request(client, request, handle.id)
    assert seeded.seed is not None
    assert set(seeded.seed.tasks) == {"read", "write"}
    async with started(client, second, seeded.model_dump(mode="json")) as handle:
        await reject(handle, "pay:1.1")
        await report_of(handle)
    assert second.orders == []


@pytest.mark.timeout(90)
async def test_an_ask_of_a_review_is_tainted_also_while_what_it_had_read_is_made_anew(
    client: Client,
) -> None:
    """In the run of the review, and in one that goes on from it."""
    first, second = Reviewed(says), Reviewed(says)
    given = office(READ, review_rounds=1, approve_review="never")
    async with started(client, first, {"team": given}) as handle:
        await waits(handle, "review1-1:1.1")
        assert (await pending(handle)).tainted
        await handle.terminate()
        seeded = await rerun_request(client, handle.id, tasks=["read"])
    assert seeded.seed is not None
    assert "read" not in seeded.seed.tasks
    held = asyncio.Event()

    async def tool(order: ToolOrder) -> str:
        if order.facts.name == "look":
            await held.wait()
        return "seen"

    second.tool = tool
    async with started(client, second, seeded.model_dump(mode="json")) as handle:
        await reject(handle, "review1-1:1.1")
        held.set()
        await report_of(handle)
    assert effects(first) == effects(second) == []


async def test_a_conversation_stays_tainted_when_what_tainted_it_was_removed(
    client: Client,
) -> None:
    """And in the next execution of the run."""
    fetch = {"python": "shop:fetch", "effects": "none"}
    look = {**LOOK, "trusted": True}

    def long(call: CallRequest) -> Said:
        assert call.conversation is not None
        turn = call.conversation.turn
        if turn == 1:
            return calls(("fetch", {}))
        if turn <= 8:
            return calls(("look", {"at": turn}))
        return calls(("refund", {})) if turn == 9 else "done"

    world = ToolWorld(long, tool=lambda order: "x" * 2_000)
    price = world.catalog.models[0].model_copy(update={"context_tokens": 8_000})
    world.catalog = world.catalog.model_copy(update={"models": (price,)})
    given = tool_team(fetch, look, REFUND)
    given["agents"]["clerk"]["max_tokens"] = 100
    async with continuing(client, world, {"team": given}, events=24) as handle:
        await waits(handle, "work:9.1")
        last = world.entries("work")
        assert "[removed: 2000 bytes of fetch]" in [each.text for e in last for each in e.results]
        await reject(handle, "work:9.1")
        report: RunReport = await handle.result()
        assert await executions(client, handle) > 1
    assert report.answer is not None
    assert effects(world) == []


async def test_a_task_that_is_done_again_is_as_tainted_as_what_it_reads_then(
    client: Client,
) -> None:
    """What was handed on anew counts, and not what was before."""
    world = ToolWorld(says)
    given = office(READ, after("pay", "clerk", "read"))
    async with started(client, world, {"team": given}) as handle:
        await waits(handle, "pay:1.1")
        await handle.execute_update("retry_task", {"task": "read"})
        while len(world.orders) < 2:
            await asyncio.sleep(0.05)
        await reject(handle, "pay:1.1")
        await handle.result()
    assert effects(world) == []
