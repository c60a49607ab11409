"""Agents that are programs: run, repaired, parked, woken, cancelled, and never paid for twice."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.call import CallResult
from durable_agent_team.contracts.effects import EffectDecision, UnknownEffect
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.names import STARTER
from durable_agent_team.contracts.program import (
    SPEND_SIGNAL,
    EnvironmentOrder,
    EnvironmentReady,
)
from durable_agent_team.contracts.run import RunReport, RunState, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.support.fakes import COST
from tests.support.programs import ProgramWorld, Running, two_calls
from tests.support.run_reports import report_of
from tests.workflows.runs import (
    continuing,
    executions,
    parked,
    result_of,
    spend,
    started,
    state,
    team,
    until,
)

RUN = {"python": "market.crews:research", "environment": "/envs/crew", "directory": "/teams"}
NOTHING = Decimal(0)
QUICK = {"initial_seconds": 0.01, "max_attempts": 2}


def crew(**changes: Any) -> dict[str, Any]:
    """One program; the orchestrator is never called."""
    agent = {"role": "Researchers", "budget_usd": 1, "run": RUN, "retry": QUICK, **changes}
    tasks = [{"id": "research", "agent": "crew", "ask": "List the facts."}]
    return team(agents={"crew": agent}, tasks=tasks, result="research", final="handoff")


def agrees(report: RunReport, usd: Decimal) -> None:
    assert report.spend.total.spent_usd == usd == report.spend.ledger_usd
    assert report.spend.ledger_agrees is LedgerAgreement.YES


def _first(now: RunState) -> TaskStatus | None:
    return now.tasks[0].status if now.tasks else None


async def test_a_programs_answer_is_a_handoff(client: Client) -> None:
    world = ProgramWorld()
    tasks = [
        {"id": "research", "agent": "crew", "ask": "List the facts."},
        {"id": "text", "agent": "editor", "ask": "Write.", "depends_on": ["research"]},
    ]
    agents = {**crew()["agents"], "editor": {"role": "Editor", "budget_usd": 1}}
    report = await result_of(
        client, world, {"team": team(agents=agents, tasks=tasks, result="text")}
    )
    assert report.status is RunStatus.COMPLETED
    (order,) = world.orders
    assert (order.execution, order.role, order.known_spent_usd) == (1, "Researchers", NOTHING)
    assert order.run.model_dump(exclude_unset=True) == RUN
    assert order.call.task == "research"
    assert order.call.goal is None, "a specialist never sees the goal"
    editor = next(call for call in world.calls if call.task == "text")
    assert editor.sources[0].text == "answer to second after answer to first"
    assert [each.environment for each in world.environments] == ["/envs/crew"]
    agrees(report, 4 * COST)
    assert report.outcomes[0].task.spent_usd == 2 * COST


async def test_a_failed_check_goes_back_with_its_reasons_in_the_same_scope(
    client: Client,
) -> None:
    async def script(running: Running) -> CallResult:
        rejected = running.order.call.rejected
        await running.model("repair" if rejected else "first")
        reasons = () if rejected else ("too short",)
        return world.program_answer("good" if rejected else "poor", reasons=reasons)

    world = ProgramWorld(script)
    report = await result_of(client, world, {"team": crew()})
    first, second = world.orders
    assert first.scope == second.scope
    assert (first.execution, second.execution) == (1, 2)
    assert second.known_spent_usd == COST
    assert second.call.rejected is not None
    assert second.call.rejected.reasons == ("too short",)
    crew_spend = report.spend.agents[0]
    assert (crew_spend.failed_attempts_usd, crew_spend.repairs_usd) == (COST, COST)
    agrees(report, 2 * COST)


async def test_an_exhausted_program_parks_and_a_top_up_replays_what_was_paid(
    client: Client,
) -> None:
    world = ProgramWorld()
    async with started(client, world, {"team": crew(budget_usd="0.015")}) as handle:
        now = await until(handle, parked)
        (waiting,) = now.waiting
        assert waiting.type == ErrorType.BUDGET_EXHAUSTED
        assert waiting.command == f"{STARTER} budget --raise-only {handle.id} crew 0.020"
        shown = await spend(handle)
        assert shown.total.spent_usd == COST
        assert shown.total.reserved_usd == 0
        await handle.execute_update("adjust_budget", {"agent": "crew", "budget_usd": "0.02"})
        report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert len(world.orders) == 2
    assert len({order.scope for order in world.orders}) == 1
    assert len(world.paid) == 2, "nothing is paid twice"
    assert report.spend.agents[0].useful_usd == 2 * COST, "what was replayed was of use"
    agrees(report, 2 * COST)


async def test_a_failed_program_is_tried_again_and_what_it_paid_is_in_spend(
    client: Client,
) -> None:
    async def script(running: Running) -> str:
        answer = await running.model("first")
        if running.attempt < 2001:
            raise running.error(ErrorType.PROGRAM_FAILED, "exit code 1: boom")
        return answer

    world = ProgramWorld(script)
    async with started(client, world, {"team": crew()}) as handle:
        now = await until(handle, parked)
        assert now.waiting[0].type == ErrorType.PROGRAM_FAILED
        assert "boom" in now.waiting[0].reason
        assert (await spend(handle)).total.spent_usd == COST
        await handle.execute_update("retry_task", {"task": "research"})
        report = await handle.result()
    assert len(world.orders) == 3
    assert world.paid == ["first"]
    agrees(report, COST)


async def test_a_failed_task_that_is_tried_again_keeps_its_scope(client: Client) -> None:
    async def script(running: Running) -> str:
        answer = await running.model("first")
        if running.order.execution == 1:
            raise running.error(ErrorType.PROGRAM_FAILED, "boom", final=True)
        return answer

    world = ProgramWorld(script)
    tasks = [
        {"id": "research", "agent": "crew", "ask": "List the facts."},
        {"id": "other", "agent": "waiting", "ask": "Wait."},
    ]
    agents = crew(on_failure="fail")["agents"]
    agents["waiting"] = {"role": "R", "budget_usd": "0.001"}
    plan = team(agents=agents, tasks=tasks, result="research", final="handoff")
    async with started(client, world, {"team": plan}) as handle:
        await until(handle, lambda now: _first(now) is TaskStatus.FAILED)
        await handle.execute_update("retry_task", {"task": "research"})
        await until(handle, lambda now: _first(now) is TaskStatus.DONE)
        await handle.execute_update("retry_task", {"task": "research"})
        await until(handle, lambda now: len(world.orders) == 3)
        await handle.execute_update("cancel_task", {"task": "other"})
        report = await report_of(handle)
    first, second, third = world.orders
    assert first.scope == second.scope
    assert second.execution == 2
    assert third.scope != first.scope, "a task that is done again is other work"
    assert (third.execution, third.known_spent_usd) == (1, NOTHING)
    agrees(report, 2 * COST)


@pytest.mark.parametrize("signals", [True, False])
async def test_spend_is_shown_while_it_runs(client: Client, signals: bool) -> None:
    """Also in runs that began with an earlier version."""
    going = asyncio.Event()

    async def script(running: Running) -> str:
        await running.model("first")
        await going.wait()
        return await running.model("second")

    world = ProgramWorld(script, signals=signals)
    async with started(client, world, {"team": crew()}) as handle:
        async with asyncio.timeout(20):
            while (shown := await spend(handle)).total.spent_usd != COST:
                await asyncio.sleep(0.1)
        assert shown.total.reserved_usd == shown.total.remaining_usd, "up to its budget"
        going.set()
        report = await handle.result()
    agrees(report, 2 * COST)
    assert report.spend.agents[0].useful_usd == 2 * COST


async def test_a_signal_that_comes_late_or_twice_counts_nothing(client: Client) -> None:
    """Its figure is the whole cost of a scope: it replaces what was shown, if it is higher, and not
    more than the account can hold."""
    going = asyncio.Event()

    async def script(running: Running) -> str:
        answer = await running.model("first")
        if running.order.execution == 1:
            raise running.error(ErrorType.PROGRAM_FAILED, "boom", final=True)
        await running.model("second")
        await going.wait()
        return answer

    world = ProgramWorld(script)
    async with started(client, world, {"team": crew()}) as handle:
        await until(handle, parked)
        scope = world.orders[0].scope
        for spent in (COST, 5 * COST):
            await handle.signal(SPEND_SIGNAL, {"scope": scope, "spent_usd": str(spent)})
        assert (await spend(handle)).total.spent_usd == COST, "the program is not running"
        await handle.execute_update("retry_task", {"task": "research"})
        async with asyncio.timeout(20):
            while (await spend(handle)).total.spent_usd != 2 * COST:
                await asyncio.sleep(0.05)
        for late in (COST, 0, 2 * COST, 1_000_000):
            await handle.signal(SPEND_SIGNAL, {"scope": scope, "spent_usd": str(late)})
        await handle.signal(SPEND_SIGNAL, {"scope": "unknown", "spent_usd": "1"})
        wrong: list[Any] = [{"scope": scope, "spent_usd": "-1"}, {"scope": scope}, [], "much"]
        for bad in wrong:
            await handle.signal(SPEND_SIGNAL, bad)
        now = await state(handle)
        assert [each.message for each in now.refusals] == [SPEND_SIGNAL] * 4
        assert (await spend(handle)).total.spent_usd == 2 * COST
        going.set()
        report = await handle.result()
    agrees(report, 2 * COST)
    assert report.spend.agents[0].useful_usd == 2 * COST


async def test_a_cancelled_program_is_killed_and_the_ledger_agrees(client: Client) -> None:
    async def script(running: Running) -> str:
        await running.model("first")
        await asyncio.Event().wait()
        raise AssertionError

    world = ProgramWorld(script)
    async with started(client, world, {"team": crew()}) as handle:
        while not world.paid:
            await asyncio.sleep(0.02)
        await handle.signal("cancel", {"reason": "enough"})
        report = await report_of(handle)
    assert report.status is RunStatus.CANCELLED
    assert world.killed == 1
    agrees(report, COST)
    assert report.outcomes[0].task.spent_usd == COST


async def test_a_lost_worker_costs_nothing_twice(client: Client) -> None:
    """The first attempt never reports: a heartbeat is missed, and the next one replays."""

    class Lost(ProgramWorld):
        pass

    async def script(running: Running) -> str:
        answer = await two_calls(running)
        if len(world.orders) == 1:
            for task in asyncio.all_tasks():
                if getattr(task.get_coro(), "__name__", "") == "_beat":
                    task.cancel()
            await asyncio.Event().wait()
        return answer

    world = Lost(script)
    report = await result_of(client, world, {"team": crew()})
    assert report.status is RunStatus.COMPLETED
    assert len(world.orders) == 2
    assert len(world.paid) == 2
    agrees(report, 2 * COST)


@pytest.mark.parametrize("decision", ["retry", "skip", "result"])
async def test_an_unknown_effect_parks_for_a_person(client: Client, decision: str) -> None:
    unknown = UnknownEffect(effect="send:1f", tool="send_mail", attempt=1001)

    async def script(running: Running) -> str:
        answer = await running.model("first")
        if not running.order.effect_answers:
            raise running.error(
                ErrorType.EFFECT_UNKNOWN, "send_mail may have run", final=True, effect=unknown
            )
        return answer

    world = ProgramWorld(script)
    async with started(client, world, {"team": crew()}) as handle:
        now = await until(handle, parked)
        (waiting,) = now.waiting
        assert waiting.type == ErrorType.EFFECT_UNKNOWN
        command = f"{STARTER} answer {handle.id} research DECISION --since "
        assert waiting.command.startswith(command)
        assert "send_mail may have run" in waiting.reason
        payload = {"task": "research", "decision": decision}
        if decision == "result":
            with pytest.raises(WorkflowUpdateFailedError):
                await handle.execute_update("answer", payload)
            payload["result"] = '{"sent": true}'
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update("answer", {**payload, "effect": "another"})
        await handle.execute_update("answer", payload)
        report = await handle.result()
    (answer,) = world.orders[1].effect_answers
    assert (answer.effect, answer.decision) == ("send:1f", EffectDecision(decision))
    assert answer.attempt == unknown.attempt
    assert answer.result == payload.get("result")
    agrees(report, COST)


async def test_a_remote_agents_question_is_answered(client: Client) -> None:
    async def script(running: Running) -> str:
        if running.order.reply is None:
            raise running.error(
                ErrorType.INPUT_REQUIRED, "Which market?", final=True, remote_task="t1"
            )
        assert running.order.remote_task == "t1"
        return f"about {running.order.reply}"

    world = ProgramWorld(script)
    run = {"a2a": "http://agents.example/crew"}
    async with started(client, world, {"team": crew(run=run)}) as handle:
        now = await until(handle, parked)
        assert "Which market?" in now.waiting[0].reason
        command = f"answer {handle.id} research result 'YOUR ANSWER' --since "
        assert command in now.waiting[0].command
        await handle.signal(
            "adjust",
            {"kind": "answer", "task": "research", "decision": "result", "result": "Europe"},
        )
        report = await handle.result()
    assert report.answer == "about Europe"
    assert not world.environments, "a remote agent needs no environment here"


async def test_nothing_is_answered_that_does_not_ask(client: Client) -> None:
    world = ProgramWorld()
    async with started(client, world, {"team": crew(budget_usd="0.015")}) as handle:
        await until(handle, parked)
        for task in ("research", "nothing"):
            with pytest.raises(WorkflowUpdateFailedError) as caught:
                await handle.execute_update("answer", {"task": task, "decision": "retry"})
            assert "waits for no answer" in str(caught.value.cause)
        await handle.signal("cancel", {})
        await report_of(handle)


async def test_an_environment_is_prepared_before_and_its_failure_parks(client: Client) -> None:
    going = asyncio.Event()

    class Preparing(ProgramWorld):
        async def prepared(self, order: EnvironmentOrder) -> EnvironmentReady:
            await going.wait()
            if len(self.environments) == 1:
                error = self.failed()
                raise error
            return await super().prepared(order)

        @staticmethod
        def failed() -> Exception:
            return ApplicationError(
                "no such package", type=ErrorType.ENVIRONMENT_FAILED.value, non_retryable=True
            )

    world = Preparing()
    async with started(client, world, {"team": crew()}) as handle:
        now = await until(handle, lambda now: bool(now.tasks) and now.tasks[0].step is not None)
        assert now.tasks[0].step == "preparing environment"
        going.set()
        now = await until(handle, parked)
        assert (now.waiting[0].type, now.tasks[0].step) == (ErrorType.ENVIRONMENT_FAILED, None)
        assert not world.orders
        await handle.execute_update("retry_task", {"task": "research"})
        report = await handle.result()
    agrees(report, 2 * COST)


async def test_a_run_continues_as_new_around_a_program(client: Client) -> None:
    """A program that runs keeps the run in its execution; where that gets too long, it starts
    again in its scope, and pays nothing twice."""
    going = asyncio.Event()

    async def script(running: Running) -> str:
        await running.model("first")
        if running.order.execution == 1:
            await asyncio.Event().wait()
        await going.wait()
        return await running.model("second")

    world = ProgramWorld(script)
    async with continuing(client, world, {"team": crew()}, events=30) as handle:
        while not world.paid:
            await asyncio.sleep(0.02)
        for _ in range(8):
            await handle.execute_update("adjust_run", {"max_parallel": 7})
        assert (await handle.describe()).history_length > 40
        assert len(world.orders) == 1
        for _ in range(40):
            await handle.execute_update("adjust_run", {"max_parallel": 8})
            if len(world.orders) > 1:
                break
        going.set()
        report = await handle.result()
        assert await executions(client, handle) >= 2
    assert report.status is RunStatus.COMPLETED
    assert {order.scope for order in world.orders} == {world.orders[0].scope}
    assert [order.execution for order in world.orders] == [1, 2]
    assert world.paid == ["first", "second"]
    agrees(report, 2 * COST)


async def test_a_parked_program_keeps_its_scope_when_the_run_continues_as_new(
    client: Client,
) -> None:
    world = ProgramWorld()
    async with continuing(client, world, {"team": crew(budget_usd="0.015")}, events=20) as handle:
        await until(handle, parked)
        for number in range(8):
            await handle.execute_update("adjust_run", {"max_parallel": 7 + number})
        assert (await state(handle)).waiting
        await handle.execute_update("adjust_budget", {"agent": "crew", "budget_usd": "0.02"})
        report = await handle.result()
        assert await executions(client, handle) >= 2
    first, second = world.orders
    assert first.scope == second.scope
    assert (second.execution, second.known_spent_usd) == (2, COST)
    agrees(report, 2 * COST)
