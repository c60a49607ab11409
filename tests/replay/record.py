"""Records the histories that `test_replay.py` replays: `python -m tests.replay.record NAME…`.

Record a history again only where a change of the workflow is meant to break it, and write that into
the CHANGELOG: where a history no longer replays, open runs of that kind no longer continue.
"""

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from durable_agent_team.contracts.call import CallRequest, CallResult, Purpose
from durable_agent_team.contracts.effects import UnknownEffect
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.program import SPEND_SIGNAL
from durable_agent_team.contracts.run import RunState
from durable_agent_team.contracts.text_ref import reference_to
from durable_agent_team.contracts.tool_call import ToolFailure, ToolOrder
from durable_agent_team.process.interpreter_exit import exit_process
from tests.support.fakes import COST, FakeWorld
from tests.support.programs import ProgramWorld, Running, two_calls
from tests.support.run_reports import report_of
from tests.support.temporal import server
from tests.support.tools import ToolWorld
from tests.support.tools import calls as tool_calls
from tests.support.worlds import OnceEach
from tests.workflows.test_adjust_agent import ManyModels, too_expensive, world_with_prices
from tests.workflows.test_cancel_race import cancelled_after_a_lost_task
from tests.workflows.test_continue_as_new import started as continuing
from tests.workflows.test_continue_as_new import wide
from tests.workflows.test_cut_off_answers import cut_off
from tests.workflows.test_deadline import SOON, set_deadline, until_reached
from tests.workflows.test_life_of_a_run import started, team
from tests.workflows.test_out_of_funds import Unpaid, all_parked
from tests.workflows.test_out_of_funds import wide as unpaid_team
from tests.workflows.test_planning import GOOD, Planner, without_tasks
from tests.workflows.test_programs import crew
from tests.workflows.test_review import FINISH
from tests.workflows.test_running_out import parked, two_tasks, until
from tests.workflows.test_steering import CHAIN, Gate
from tests.workflows.test_turns import LOOK, bounded, clerk, looks, said_by_turn
from tests.workflows.test_whole_plans import catalog, lawyers
from tests.workflows.test_whole_plans import planner as whole_planner
from tests.workflows.test_whole_plans import sound as whole_plan

HISTORIES = Path(__file__).with_name("histories")
Handle = WorkflowHandle[Any, Any]


async def main(names: Sequence[str]) -> None:
    HISTORIES.mkdir(exist_ok=True)
    async with server() as environment:
        for name in names:
            handle = await SCENARIOS[name](environment.client)
            history = await handle.fetch_history()
            (HISTORIES / f"{name}.json").write_text(_impersonal(history.to_json()) + "\n")
            print(f"{name}: {len(history.events)} events")


async def given_plan(client: Client) -> Handle:
    return await _ended(client, FakeWorld(), {"team": team()})


async def planned(client: Client) -> Handle:
    return await _ended(client, Planner("nonsense", GOOD).world, {"team": without_tasks()})


async def planned_in_the_whole_form(client: Client) -> Handle:
    """A schema that goes back, a plan with schemas, and a review that adds a task."""
    bad, good = whole_plan(), whole_plan()
    bad["tasks"][2]["output"] = {"type": "thing"}
    added = {"id": "more", "agent": "writer", "ask": "List it.", "output": {"type": "object"}}
    of = whole_planner(bad, good)

    def rule(call: CallRequest) -> CallResult | None:
        if call.purpose is Purpose.REVIEW:
            return world.answer(call, json.dumps({"add": [added]}))
        return of(call)

    world = of.world = FakeWorld(rule)
    world.catalog = catalog()
    return await _ended(client, world, lawyers(review_rounds=1))


async def repaired_and_failed(client: Client) -> Handle:
    def rule(call: CallRequest) -> CallResult | None:
        return world.answer(call, "poor", reasons=("too short",)) if call.task == "a" else None

    world = FakeWorld(rule)
    return await _ended(client, world, {"team": team()})


async def cut_off_and_refused(client: Client) -> Handle:
    """An answer that was cut off twice is repaired with more room; the next task is refused."""
    world = FakeWorld()
    cut = cut_off(world, "Half of", "")

    def rule(call: CallRequest) -> CallResult | None:
        if call.task == "a":
            return cut(call)
        words = "I can't help with that request."
        refused = world.answer(call, "", reasons=(f"The model refused: {words}",))
        return refused.model_copy(update={"finish_reason": "refusal", "refusal": words})

    world.rule = rule
    tasks = [{"id": each, "agent": "research", "ask": "Find it."} for each in "ab"]
    tasks[1]["depends_on"] = ["a"]  # type: ignore[assignment]
    return await _ended(client, world, {"team": team(tasks=tasks, result="b")})


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


async def by_reference(client: Client) -> Handle:
    """A document, rejected answers, hand-offs and the answer travel as references."""
    text = "A long text. " * 1_000

    def rule(call: CallRequest) -> CallResult | None:
        if call.purpose is Purpose.REVIEW:
            return world.answer(call, json.dumps(FINISH))
        reasons = ("too long",) if call.task == "b" and call.rejected is None else ()
        answer = world.answer(call, "", reasons)
        return answer.model_copy(update={"answer_ref": reference_to(text + call.task)})

    world = FakeWorld(rule)
    payload = {
        "team": team(
            agents={
                "research": {"role": "Researcher", "budget_usd": 1, "inputs": ["report.md"]},
                "editor": {"role": "Editor", "budget_usd": 1},
            },
            review_rounds=1,
        ),
        "documents": {"report.md": reference_to(text).model_dump()},
    }
    return await _ended(client, world, payload)


async def taken_over_and_redone(client: Client) -> Handle:
    """`a` is taken over, and done again while `b` behind it is in flight."""
    gate = Gate("b")
    seed = {"origin": "run-1", "tasks": {"a": {"output": "Facts.", "cost_usd": "0.01"}}}
    payload = {"team": team(tasks=CHAIN, result="c"), "seed": seed}
    async with started(client, FakeWorld(gate), payload) as handle:
        await gate.reached.wait()
        await handle.execute_update("retry_task", {"task": "a"})
        gate.open.set()
        await handle.result()
    return handle


async def continues(client: Client) -> Handle:
    """The first execution of a run that continues as new, with calls in flight."""
    handle = await _continued(client)
    return client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)


async def taken_up(client: Client) -> Handle:
    """Its last execution, which starts with the state of the run."""
    handle = await _continued(client)
    return client.get_workflow_handle(handle.id)


async def drained(client: Client) -> Handle:
    """The first execution of a run that continues as new after its many calls have ended."""

    async def slow_but_one(call: CallRequest) -> None:
        await asyncio.sleep(0 if call.task == "t0" else 0.3)

    handle = await _continued(client, OnceEach(slow_but_one), tasks=14, at_once=12)
    return client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)


async def lost_first_task(client: Client) -> Handle:
    """Cancelled when a worker had died in the first workflow task: its accounts are found."""
    return await cancelled_after_a_lost_task(client, FakeWorld())


async def _continued(
    client: Client, world: OnceEach | None = None, tasks: int = 4, at_once: int = 2
) -> Handle:
    world = world or OnceEach(seconds=0.05)
    payload = {"team": wide(tasks) | {"max_parallel": at_once}}
    async with continuing(client, world, payload, events=20) as handle:
        await handle.result()
    return handle


async def _ended(client: Client, world: FakeWorld, payload: Any) -> Handle:
    async with started(client, world, payload) as handle:
        with suppress(WorkflowFailureError):
            await handle.result()
    return handle


def _impersonal(history: str) -> str:
    """Without the name and the paths of the machine that recorded it."""
    without_traces = re.sub(r'"stackTrace": ?"(?:[^"\\]|\\.)*"', '"stackTrace": ""', history)
    return re.sub(r'"\d+@[^"]*"', '"recchange"', without_traces)


async def local_accounts(client: Client) -> Handle:
    """Accounts by local activities, and none for an orchestrator that is never called."""
    return await _ended(client, FakeWorld(), {"team": team(final="handoff")})


async def shared_budget(client: Client) -> Handle:
    """The agents share the team's budget; the orchestrator is never called and has none of it."""
    agents = {name: {"role": "Researcher"} for name in ("research", "editor")}
    changes = {"agents": agents, "orchestrator": {}, "budget_usd": "0.1", "final": "handoff"}
    return await _ended(client, FakeWorld(), {"team": team(**changes)})


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


async def programs(client: Client) -> Handle:
    """A program that fails, runs out, gets a top-up, asks a person, and fails a check."""
    unknown = UnknownEffect(effect="send:1f", tool="send_mail", attempt=1001)

    async def script(running: Running) -> Any:
        answer = await two_calls(running)
        if running.order.execution == 2:
            raise running.error(ErrorType.PROGRAM_FAILED, "exit code 1", final=True)
        if running.order.execution == 3:
            message = "send_mail may have run"
            raise running.error(ErrorType.EFFECT_UNKNOWN, message, final=True, effect=unknown)
        if running.order.call.rejected is None:
            return world.program_answer(answer, reasons=("too short",))
        return answer

    world = ProgramWorld(script)
    async with started(client, world, {"team": crew(budget_usd="0.015")}) as handle:
        await until(handle, parked)
        await handle.execute_update("adjust_budget", {"agent": "crew", "budget_usd": "0.02"})
        await until(handle, lambda now: _waits_for(now, "ProgramFailed"))
        await handle.execute_update("retry_task", {"task": "research"})
        await until(handle, lambda now: _waits_for(now, "EffectUnknown"))
        await handle.execute_update("answer", {"task": "research", "decision": "skip"})
        await report_of(handle)
    return handle


def _waits_for(now: RunState, kind: str) -> bool:
    return any(waiting.type == kind for waiting in now.waiting)


def _waits_for_approval(now: RunState, subject: str) -> bool:
    return any(waiting.subject == subject for waiting in now.waiting)


async def program_continued(client: Client) -> Handle:
    """The last execution of a run that continued as new with a program in flight."""

    async def script(running: Running) -> str:
        await running.model("first")
        if running.order.execution == 1:
            await asyncio.Event().wait()
        return await running.model("second")

    world = ProgramWorld(script)
    async with continuing(client, world, {"team": crew()}, events=8) as handle:
        while not world.paid:
            await asyncio.sleep(0.02)
        while len(world.orders) == 1:
            with suppress(RPCError, WorkflowUpdateFailedError):
                await handle.execute_update("adjust_run", {"max_parallel": 8})
        await report_of(handle)
    return client.get_workflow_handle(handle.id)


async def program_signals(client: Client) -> Handle:
    """Programs that signal what they cost: one runs out while it runs and gets a top-up; signals
    come late, too low, and for a scope that is not known."""

    async def script(running: Running) -> str:
        answer = await two_calls(running)
        for late in (COST, 0 * COST):
            await running.signal(late)
        return answer

    world = ProgramWorld(script)
    async with started(client, world, {"team": crew(budget_usd="0.015")}) as handle:
        await until(handle, parked)
        scope = world.orders[0].scope
        await handle.signal(SPEND_SIGNAL, {"scope": scope, "spent_usd": "0.014"})
        await handle.signal(SPEND_SIGNAL, {"scope": "unknown", "spent_usd": "1"})
        await handle.execute_update("adjust_budget", {"agent": "crew", "budget_usd": "0.02"})
        await report_of(handle)
    return handle


async def turns(client: Client) -> Handle:
    """All turns of an agent with tools, in one execution."""
    return await _turns(client, events=1_000)


async def turns_taken_up(client: Client) -> Handle:
    """The last of several executions, which starts in the middle of the conversation."""
    return await _turns(client, events=24)


async def _turns(client: Client, events: int) -> Handle:
    """An agent with tools: parallel calls, a repaired answer, a worker that has forgotten, and a
    tool with an effect."""
    world = ToolWorld(
        said_by_turn(
            tool_calls(("look", {"at": 1}), ("look", {"at": 2}), ("look", {"at": 1})),
            tool_calls(("refund", {"order": "7"})),
            tool_calls(("no_such_tool", {})),
            tool_calls(("look", {"at": 3})),
            "refunded",
        ),
        forgets=lambda call: call.conversation is not None and call.conversation.turn == 3,
    )
    refund = {"python": "shop.tools:refund", "effects": "once", "approve": "never"}
    async with continuing(client, world, {"team": clerk(LOOK, refund)}, events=events) as handle:
        await handle.result()
    return client.get_workflow_handle(handle.id)


async def compacted_on_overflow(client: Client) -> Handle:
    """A conversation that its provider refuses as too long: old results make room, twice, and the
    turns are made again as new calls."""
    world = ToolWorld(looks(5), tool=lambda order: "x" * 2_000)
    bounded(world, 5_000)
    return await _ended(client, world, {"team": clerk()})


async def tools_and_people(client: Client) -> Handle:
    """Calls of tools that are approved, approved with other arguments, and rejected; one that may
    have run, which a person skips; one whose server is away until a person tries again; and a
    hand-off that goes back to its agent."""
    away = [True]

    def tool(order: ToolOrder) -> str:
        if order.facts.name == "send":
            failure = ToolFailure(sent=True)
            raise ApplicationError("gone", failure, type=ErrorType.EFFECT_UNKNOWN)
        if order.facts.name == "look" and away:
            away.clear()
            kind = ErrorType.TOOL_UNAVAILABLE
            raise ApplicationError("away", ToolFailure(), type=kind, non_retryable=True)
        return f"{order.facts.name}: {order.arguments}"

    turn = tool_calls(("refund", {"n": 1}), ("refund", {"n": 2}), ("refund", {"n": 3}))
    world = ToolWorld(
        said_by_turn(turn, tool_calls(("send", {}), ("look", {"at": 1})), "refunded", "better"),
        tool,
    )
    refund = {"python": "shop.tools:refund", "effects": "once", "approve": "always"}
    send = {"python": "shop.tools:send", "effects": "once", "approve": "never"}
    given = clerk(LOOK, {**refund, "approval_timeout_seconds": 3_600}, send)
    given["tasks"][0]["approve"] = "after"
    async with started(client, world, {"team": given}) as handle:
        subjects = {"refund:1.1", "refund:1.2", "refund:1.3"}
        await until(handle, lambda now: {each.subject for each in now.waiting} == subjects)
        edited = {"approved": True, "arguments": '{"n": 9}', "note": "not so much"}
        await handle.execute_update("approve", {"subject": "refund:1.2", **edited})
        await handle.execute_update("approve", {"subject": "refund:1.1", "approved": True})
        no = {"kind": "approve", "subject": "refund:1.3", "approved": False, "note": "no"}
        await handle.signal("adjust", no)
        await until(handle, lambda now: len(now.waiting) == 2)
        await handle.execute_update("answer", {"task": "refund:2.1", "decision": "skip"})
        await handle.execute_update("answer", {"task": "refund:2.2", "decision": "retry"})
        for approved in (False, True):
            await until(handle, lambda now: _waits_for_approval(now, "refund:handoff"))
            answer = {"subject": "refund:handoff", "approved": approved, "note": "shorter"}
            await handle.execute_update("approve", answer)
        await handle.result()
    return handle


async def tools_and_people_taken_up(client: Client) -> Handle:
    """The execution of a run that takes up a call that waits for approval and another one, which
    may have run, and in which both are answered."""

    def tool(order: ToolOrder) -> str:
        failure = ToolFailure(sent=True)
        raise ApplicationError("gone", failure, type=ErrorType.EFFECT_UNKNOWN)

    world = ToolWorld(said_by_turn(tool_calls(("refund", {"n": 1}), ("send", {})), "done"), tool)
    refund = {"python": "shop.tools:refund", "effects": "once", "approve": "always"}
    send = {"python": "shop.tools:send", "effects": "once", "approve": "never"}
    team = clerk(refund, {**send, "price_usd": "0.1"})
    async with continuing(client, world, {"team": team}, events=14) as handle:
        await until(handle, lambda now: len(now.waiting) == 2)
        for limit in range(3, 12):  # the history grows
            with suppress(RPCError, WorkflowUpdateFailedError):
                await handle.execute_update("adjust_run", {"max_parallel": limit})
        here = await client.get_workflow_handle(handle.id).describe()
        by_hand = {"task": "refund:1.2", "decision": "result", "result": "sent by hand"}
        for name, message in (
            ("answer", by_hand),
            ("approve", {"subject": "refund:1.1", "approved": False, "note": "no"}),
        ):
            await _sent(handle, name, message)
        await handle.result()
    return client.get_workflow_handle(handle.id, run_id=here.run_id)


async def _sent(handle: Handle, name: str, message: dict[str, Any]) -> None:
    """Also where the run is just about to continue as new."""
    while True:
        try:
            await handle.execute_update(name, message)
        except (RPCError, WorkflowUpdateFailedError):
            await asyncio.sleep(0.1)
        else:
            return


SCENARIOS: dict[str, Callable[[Client], Awaitable[Handle]]] = {
    "given_plan": given_plan,
    "planned": planned,
    "planned_in_the_whole_form": planned_in_the_whole_form,
    "repaired_and_failed": repaired_and_failed,
    "cut_off_and_refused": cut_off_and_refused,
    "cancelled": cancelled,
    "adjusted": adjusted,
    "deadline": deadline,
    "by_reference": by_reference,
    "local_accounts": local_accounts,
    "shared_budget": shared_budget,
    "taken_over_and_redone": taken_over_and_redone,
    "outlasted": outlasted,
    "out_of_funds": out_of_funds,
    "looked_up": looked_up,
    "continues": continues,
    "taken_up": taken_up,
    "drained": drained,
    "lost_first_task": lost_first_task,
    "turns": turns,
    "turns_taken_up": turns_taken_up,
    "compacted_on_overflow": compacted_on_overflow,
    "tools_and_people": tools_and_people,
    "tools_and_people_taken_up": tools_and_people_taken_up,
    "programs": programs,
    "program_continued": program_continued,
    "program_signals": program_signals,
}

if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(f"name those to record again: {', '.join(SCENARIOS)}")
    asyncio.run(main(sys.argv[1:]))
    exit_process(0)
