"""Runs that a person changes or cancels, and that wait: for money, an upstream, a deadline."""

from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.error_types import ErrorType
from tests.replay.scenarios.scenario import Handle, Scenarios
from tests.support.fakes import FakeWorld
from tests.support.run_reports import report_of
from tests.workflows.runs import CHAIN, Gate, parked, started, team, two_tasks, until
from tests.workflows.test_adjust_agent import ManyModels, too_expensive, world_with_prices
from tests.workflows.test_cancel_race import (
    AwayAtFirst,
    cancelled_after_a_lost_later_task,
    cancelled_after_a_lost_task,
)
from tests.workflows.test_deadline import SOON, set_deadline, until_reached
from tests.workflows.test_out_of_funds import Unpaid, all_parked
from tests.workflows.test_out_of_funds import wide as unpaid_team
from tests.workflows.test_tool_effects import waits


async def cancelled(client: Client) -> Handle:
    gate = Gate("b")
    async with started(client, FakeWorld(gate), {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        await handle.signal("adjust", {"kind": "nonsense"})
        await handle.execute_update("adjust_budget", {"agent": "research", "budget_usd": 2})
        await handle.signal("cancel", {"reason": "enough"})
        await report_of(handle)
    return handle


async def adjusted(client: Client) -> Handle:
    """Another model for a parked task, other limits for the run, and two more tasks."""
    world = world_with_prices(too_expensive)
    changed = two_tasks({"budget_usd": 1}, max_parallel=1)
    async with started(client, world, {"team": changed}) as handle:
        await until(handle, parked)
        more = {"id": "more", "agent": "editor", "ask": "List the risks.", "depends_on": ["b"]}
        await handle.execute_update("add_task", more)
        await handle.execute_update("adjust_run", {"max_parallel": 4, "budget_usd": 50})
        await handle.execute_update("adjust_run", {"deadline": "2030-01-01T00:00:00Z"})
        await handle.execute_update("adjust_run", {"deadline": None, "max_parallel": 2})
        change = {"agent": "editor", "timeout_seconds": 30, "max_attempts": 2}
        await handle.execute_update("adjust_agent", change)
        await handle.signal("adjust", {"kind": "add_task", **more, "id": "most"})
        await handle.signal(
            "adjust", {"kind": "adjust_agent", "agent": "orchestrator", "model": "cheap"}
        )
        await handle.execute_update("adjust_agent", {"agent": "research", "model": "cheap"})
        await handle.result()
    return handle


async def deadline(client: Client) -> Handle:
    """Reached while one call is in flight and another one is parked."""
    gate = Gate("slow")
    changed = two_tasks({})
    changed["tasks"].append({"id": "slow", "agent": "editor", "ask": "Slow."})
    async with started(client, FakeWorld(gate), {"team": changed}) as handle:
        await until(handle, parked)
        await set_deadline(handle, SOON)
        await until_reached(handle)
        gate.open.set()
        await handle.result()
    return handle


async def outlasted(client: Client) -> Handle:
    """A rate limit that is waited out, one of them until a person tries; a call that parks."""
    seen: list[str] = []

    def rule(call: CallRequest) -> None:
        seen.append(call.task)
        if call.task in ("a", "b") and seen.count(call.task) <= 2:
            raise ApplicationError("wait", {"attempts": 1}, type="RateLimited", non_retryable=True)
        if call.task == "c" and seen.count("c") == 1:
            raise ApplicationError("no", {"attempts": 1}, type="Forbidden", non_retryable=True)

    changed = team()
    changed["agents"]["research"]["retry"] = {"initial_seconds": 2}
    async with started(client, FakeWorld(rule), {"team": changed}) as handle:
        await until(handle, lambda now: len(now.retrying) == 2)
        await handle.execute_update("retry_task", {"task": "a"})
        await until(handle, parked)
        await handle.execute_update("retry_task", {"task": "c"})
        await handle.result()
    return handle


async def out_of_funds(client: Client) -> Handle:
    """Calls park for an upstream that the operator has to pay, with one notification; a `resume`
    that comes too soon, one that helps, and a last call that wakes nothing."""
    world = Unpaid("openai")
    async with started(client, world, {"team": unpaid_team(3, "m")}) as handle:
        await until(handle, all_parked(3))
        await handle.signal("resume", {})
        await until(handle, lambda now: len(world.refused) == 6 and all_parked(3)(now))
        world.unpaid.clear()
        await handle.execute_update("retry_task", {"task": "t1"})
        await handle.result()
    return handle


async def looked_up(client: Client) -> Handle:
    """A model that a partial catalog left out, named by an operator."""
    gate = Gate("a")
    world = ManyModels(gate)
    async with started(client, world, {"team": team(tasks=CHAIN)}) as handle:
        await gate.reached.wait()
        await handle.execute_update("adjust_agent", {"agent": "research", "model": "dear"})
        gate.open.set()
        await report_of(handle)
    return handle


async def lost_first_task(client: Client) -> Handle:
    """Cancelled when a worker had died in the first workflow task: its accounts are found."""
    return await cancelled_after_a_lost_task(client, FakeWorld())


async def lost_later_task(client: Client) -> Handle:
    """As `lost_first_task`, where the gateway was away when the run began."""
    return await cancelled_after_a_lost_later_task(client, AwayAtFirst())


async def approved_and_moved(client: Client) -> Handle:
    """A task that is approved before its call, a call that is approved for its price, money that
    moves from one agent to another, a pause, and a task with a schema that is added and cancelled.
    """
    given = team(tasks=CHAIN[:2], result="b")
    given["agents"]["research"]["approve_above_usd"] = "0.000001"
    given["tasks"] = [{**each, "approve": "before"} for each in given["tasks"]]
    async with started(client, FakeWorld(), {"team": given}) as handle:
        await waits(handle, "a")
        added = {"id": "more", "agent": "editor", "ask": "List the risks.", "depends_on": ["b"]}
        await handle.execute_update("add_task", {**added, "output": {"type": "object"}})
        await handle.execute_update("cancel_task", {"task": "more", "reason": "not needed"})
        moved = {"from_agent": "editor", "to_agent": "research", "amount_usd": "0.5"}
        await handle.execute_update("transfer", moved)
        await handle.signal("pause", {})
        for subject in ("a", "a:call", "b", "b:call"):
            if subject == "a:call":
                await handle.signal("resume", {})
            await waits(handle, subject)
            await handle.execute_update("approve", {"subject": subject, "approved": True})
        await handle.result()
    return handle


async def made_again_by_word(client: Client) -> Handle:
    """A call whose key is taken gets a new one, and one that ran into the gateway's limit is not
    woken by money. One that was never sent fails its task, where its agent's settings say so."""
    refused = {
        "a": ErrorType.KEY_CONFLICT,
        "b": ErrorType.GATEWAY_LIMIT,
        "c": ErrorType.TEXT_UNAVAILABLE,
    }

    def rule(call: CallRequest) -> None:
        if kind := refused.pop(call.task, None):
            raise ApplicationError("no", {"attempts": 1}, type=kind, non_retryable=True)

    tasks = [
        {"id": "a", "agent": "research", "ask": "First."},
        {"id": "b", "agent": "research", "ask": "Second."},
        {"id": "c", "agent": "editor", "ask": "Third."},
    ]
    given = team(tasks=tasks, result="b")
    given["agents"]["editor"]["on_failure"] = "fail"
    async with started(client, FakeWorld(rule), {"team": given}) as handle:
        await waits(handle, "a", "b")
        await handle.execute_update("retry_task", {"task": "a"})
        await handle.execute_update("adjust_budget", {"agent": "research", "budget_usd": 2})
        await handle.execute_update("retry_task", {"task": "b"})
        await handle.result()
    return handle


SCENARIOS: Scenarios = {
    "cancelled": cancelled,
    "adjusted": adjusted,
    "deadline": deadline,
    "outlasted": outlasted,
    "out_of_funds": out_of_funds,
    "looked_up": looked_up,
    "lost_first_task": lost_first_task,
    "lost_later_task": lost_later_task,
    "approved_and_moved": approved_and_moved,
    "made_again_by_word": made_again_by_word,
}
