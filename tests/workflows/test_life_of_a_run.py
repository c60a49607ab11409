"""Whole runs on a real dev server, with fakes for the activities."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.call import CallRequest, CallResult, Purpose
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.support.fakes import COST, FakeWorld
from tests.workflows.runs import GOAL, failing, failure_of, result_of, started, team


async def test_a_given_plan_runs_to_the_orchestrators_answer(client: Client) -> None:
    world = FakeWorld()
    report = await result_of(client, world, {"team": team()})
    assert report.status is RunStatus.COMPLETED
    assert report.answer == "answer of answer"
    assert [each.task.status for each in report.outcomes] == [TaskStatus.DONE] * 3
    assert report.spend.total.spent_usd == 4 * COST == report.spend.ledger_usd
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    assert {book.status for book in world.books.values()} == {"disabled"}


async def test_the_goal_is_in_every_orchestrator_call_and_in_no_other(client: Client) -> None:
    world = FakeWorld()
    await result_of(client, world, {"team": team()})
    for call in world.calls:
        knows = call.goal == GOAL or GOAL in call.model_dump_json()
        assert knows == (call.account.agent == "orchestrator")
    assert len(world.of(Purpose.FINAL)) == 1


async def test_a_dependant_gets_the_handoffs_and_nothing_else(client: Client) -> None:
    world = FakeWorld()
    await result_of(client, world, {"team": team()})
    (editor,) = (call for call in world.calls if call.task == "c")
    assert [(source.name, source.text) for source in editor.sources] == [
        ("a", "answer of a"),
        ("b", "answer of b"),
    ]


async def test_a_rejected_answer_goes_back_with_its_reasons_as_a_new_call(client: Client) -> None:
    def rule(call: CallRequest) -> CallResult | None:
        if call.task == "a" and call.rejected is None:
            return world.answer(call, "poor", reasons=("too short",))
        return None

    world = FakeWorld(rule)
    report = await result_of(client, world, {"team": team()})
    first, second = (call for call in world.calls if call.task == "a")
    assert second.rejected is not None
    assert (second.rejected.answer, second.rejected.reasons) == ("poor", ("too short",))
    assert first.idempotency_key != second.idempotency_key
    research = next(each for each in report.spend.agents if each.agent == "research")
    assert (research.useful_usd, research.repairs_usd, research.failed_attempts_usd) == (
        COST,
        COST,
        COST,
    )
    (editor,) = (call for call in world.calls if call.task == "c")
    assert "poor" not in editor.model_dump_json()


async def test_an_answer_that_stays_bad_fails_the_run_with_its_report(client: Client) -> None:
    def rule(call: CallRequest) -> CallResult | None:
        return world.answer(call, "poor", reasons=("too short",)) if call.task == "a" else None

    world = FakeWorld(rule)
    error = await failure_of(client, world, {"team": team()})
    assert error.type == ErrorType.RUN_FAILED
    report = RunReport.model_validate(error.details[0])
    states = {each.task.id: each.task for each in report.outcomes}
    assert states["a"].failure is not None
    assert states["a"].failure.type == ErrorType.CHECK_FAILED
    assert states["b"].status is TaskStatus.DONE, "independent work is finished"
    assert states["c"].status is TaskStatus.BLOCKED
    assert len([call for call in world.calls if call.task == "a"]) == 3
    assert report.spend.ledger_agrees is LedgerAgreement.YES


async def test_one_agent_loops_into_its_limit_and_the_others_finish(client: Client) -> None:
    def rule(call: CallRequest) -> CallResult | None:
        if call.account.agent == "research":
            return world.answer(call, "poor", reasons=("never good",))
        return None

    world = FakeWorld(rule)
    agents = team()["agents"] | {
        "research": {
            "role": "R",
            "budget_usd": 0.025,
            "on_exhausted": "fail",
            "breaker_failures": 100,
        }
    }
    tasks = [
        {"id": "a", "agent": "research", "ask": "Loop."},
        {"id": "c", "agent": "editor", "ask": "Write."},
    ]
    changed = team(agents=agents, tasks=tasks, max_repairs=10)
    report = await result_of(client, world, {"team": changed})
    spend = {each.agent: each for each in report.spend.agents}
    assert spend["research"].spent_usd == Decimal("0.02")
    assert spend["editor"].spent_usd == COST
    assert report.outcomes[0].task.failure is not None
    assert report.outcomes[0].task.failure.type == ErrorType.BUDGET_EXHAUSTED
    assert report.outcomes[0].task.failure.required_usd == COST
    assert report.answer is not None


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"team": {"name": "x"}}, "team.agents: missing"),
        ("nonsense", "a JSON object is expected"),
        (None, "team: missing"),
        ({"team": team(result="zz")}, "result = zz: no such task"),
        ({"team": team(budget_usd=3)}, "the agents' own limits come to 7 USD"),
        (
            {
                "team": team(
                    tasks=[
                        {"id": "a", "agent": "research", "ask": "x", "depends_on": ["b"]},
                        {"id": "b", "agent": "research", "ask": "x", "depends_on": ["a"]},
                    ],
                    result="a",
                )
            },
            "a -> b -> a",
        ),
    ],
)
async def test_bad_input_is_refused_before_anything_is_opened(
    client: Client, payload: Any, words: str
) -> None:
    world = FakeWorld()
    error = await failure_of(client, world, payload)
    assert error.type == ErrorType.INVALID_INPUT
    assert words in error.message
    assert not world.books
    assert not world.calls


@pytest.mark.parametrize("name", ["plan", "review", "answer"])
async def test_a_task_may_have_the_name_of_the_orchestrators_own_work(
    client: Client, name: str
) -> None:
    def rule(call: CallRequest) -> CallResult | None:
        finishes = '{"redo": [], "drop": [], "add": []}'
        return world.answer(call, finishes) if call.purpose is Purpose.REVIEW else None

    world = FakeWorld(rule)
    tasks = [{"id": name, "agent": "research", "ask": "List the facts."}]
    changed = team(tasks=tasks, result=name, approve_plan=True, review_rounds=1)
    async with started(client, world, {"team": changed}) as handle:
        while not (await handle.query("state"))["waiting"]:
            await asyncio.sleep(0.02)
        await handle.execute_update("approve", {"subject": "plan", "approved": True})
        report = await asyncio.wait_for(handle.result(), 30)
    assert report.status is RunStatus.COMPLETED
    (outcome,) = report.outcomes
    assert (outcome.task.status, outcome.task.calls) == (TaskStatus.DONE, 1)


@pytest.mark.parametrize("seed", [0, 7, None])
async def test_an_agents_seed_is_sent_with_its_calls(client: Client, seed: int | None) -> None:
    world, changed = FakeWorld(), team()
    changed["agents"]["research"]["seed"] = seed
    await result_of(client, world, {"team": changed})
    seeds = {call.account.agent: call.seed for call in world.calls}
    assert seeds == {"research": seed, "editor": None, "orchestrator": None}


async def test_a_tasks_spend_includes_its_failed_attempts(client: Client) -> None:
    """With a provider that does not store answers, each failed attempt may be billed."""

    def rule(call: CallRequest) -> CallResult | None:
        if call.task == "a":
            return world.answer(call).model_copy(update={"failed_attempts_usd": 2 * COST})
        if call.task == "b":
            known = {"attempts": 3, "spent_usd": str(3 * COST)}
            raise ApplicationError("{", known, type=ErrorType.MALFORMED_ANSWER, non_retryable=True)
        return None

    world = FakeWorld(rule)
    world.capabilities = Capabilities()
    error = await failure_of(client, world, {"team": failing(team())})
    report = RunReport.model_validate(error.details[0])
    assert [each.task.spent_usd for each in report.outcomes] == [3 * COST, 3 * COST, 0]
    assert report.spend.total.spent_usd == 6 * COST
