"""Each check of the demo can fail: here each does, by one thing that went wrong."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from durable_agent_team.cli.demo import run_checks
from durable_agent_team.cli.demo.demo_acts import is_midway, quotes
from durable_agent_team.cli.demo.run_checks import Check
from durable_agent_team.cli.demo.run_evidence import Evidence
from durable_agent_team.contracts.call import Purpose
from durable_agent_team.contracts.ledger import Ledger
from durable_agent_team.contracts.run import Failure, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.unit.demo_run import (
    ACCOUNTS,
    BEFORE,
    CALLS,
    CRASH,
    GOAL,
    GOOD,
    TASKS,
    TEAM,
    account,
    call,
    report,
    task,
)


def all_passed(checks: Iterable[Check]) -> bool:
    return all(check.passed for check in checks)


def charged(*accounts: Ledger) -> Evidence:
    return replace(GOOD, accounts=accounts)


def test_a_correct_run_passes_all_checks() -> None:
    good = report(*TASKS)
    assert all_passed(run_checks.completed(good))
    assert all_passed(run_checks.money_adds_up(good, GOOD))
    assert all_passed(run_checks.goal_only_in_own_prompts(GOAL, GOOD))
    assert all_passed(run_checks.nothing_lost(CRASH, good, GOOD))
    assert all_passed(run_checks.planned(TEAM, good, GOOD))


@pytest.mark.parametrize(
    "fields", [{"status": RunStatus.CANCELLED}, {"answer": None}, {"answer": " \n"}]
)
def test_a_run_without_an_answer_does_not_pass(fields: dict[str, Any]) -> None:
    assert not all_passed(run_checks.completed(report(*TASKS, **fields)))


@pytest.mark.parametrize(
    ("accounts", "fields"),
    [
        pytest.param(ACCOUNTS, {"own": 2}, id="the run counted less"),
        pytest.param(ACCOUNTS, {"agrees": LedgerAgreement.NO}, id="the run says no"),
        pytest.param((*ACCOUNTS[:2], account("two")), {"own": 2}, id="an agent is apart"),
        pytest.param((*ACCOUNTS[:2], account("two", "k1")), {}, id="charged twice"),
        pytest.param((*ACCOUNTS[:2], account("two", "k2", budget=0)), {}, id="overspent"),
    ],
)
def test_money_that_does_not_add_up(accounts: Any, fields: dict[str, Any]) -> None:
    assert not all_passed(run_checks.money_adds_up(report(*TASKS, **fields), charged(*accounts)))


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param((), id="no calls"),
        pytest.param((call("k", "one", "a", goal=GOAL),), id="a specialist has it"),
        pytest.param((call("k", "one", "a", ask=f"Please {GOAL}"),), id="in its ask"),
        pytest.param(
            (call("k", "orchestrator", "plan", purpose=Purpose.PLAN),), id="the orchestrator not"
        ),
    ],
)
def test_a_goal_in_the_wrong_prompts(calls: Any) -> None:
    assert not all_passed(run_checks.goal_only_in_own_prompts(GOAL, replace(GOOD, calls=calls)))


@pytest.mark.parametrize(
    ("crash", "tasks", "evidence"),
    [
        pytest.param(None, TASKS, GOOD, id="there was no crash"),
        pytest.param(replace(CRASH, new_pid=None), TASKS, GOOD, id="no new worker"),
        pytest.param(replace(CRASH, new_pid=7), TASKS, GOOD, id="the worker lives"),
        pytest.param(CRASH, (task("a", "one", calls=2), TASKS[1]), GOOD, id="done again"),
        pytest.param(CRASH, TASKS[1:], GOOD, id="lost"),
        pytest.param(
            CRASH,
            TASKS,
            charged(ACCOUNTS[0], account("one", "k1", "k1"), ACCOUNTS[2]),
            id="paid again",
        ),
        pytest.param(CRASH, TASKS, charged(*ACCOUNTS[:2], account("two")), id="never paid"),
        pytest.param(
            CRASH, TASKS, charged(*ACCOUNTS[:2], account("two", "k2", "k9")), id="a stray charge"
        ),
        pytest.param(
            CRASH,
            TASKS,
            replace(GOOD, calls=(*CALLS[:2], replace(CALLS[2], result=None))),
            id="no answer",
        ),
    ],
)
def test_something_lost_in_the_crash(crash: Any, tasks: Any, evidence: Evidence) -> None:
    assert not all_passed(run_checks.nothing_lost(crash, report(*tasks), evidence))


@pytest.mark.parametrize(
    ("tasks", "evidence"),
    [
        pytest.param(TASKS, replace(GOOD, calls=CALLS[1:]), id="no planning call"),
        pytest.param(TASKS[:1], GOOD, id="one task"),
        pytest.param((TASKS[0], task("b", "one")), GOOD, id="one agent"),
        pytest.param((*TASKS, task("c", "one"), task("d", "two")), GOOD, id="too many"),
        pytest.param((TASKS[0], task("b", "two", depends_on=("a",))), GOOD, id="a mere chain"),
        pytest.param((*TASKS, task("c", "one", TaskStatus.FAILED)), GOOD, id="one failed"),
    ],
)
def test_a_poor_plan_does_not_pass(tasks: Any, evidence: Evidence) -> None:
    assert not all_passed(run_checks.planned(TEAM, report(*tasks), evidence))


REFUSAL = Failure(
    type="BudgetExhausted",
    message="too little",
    required_usd=Decimal(2),
    remaining_usd=Decimal(1),
)
REFUSED = task("b", "two", TaskStatus.FAILED, failure=REFUSAL, spent_usd=Decimal(0))
UNSPENT = charged(*ACCOUNTS[:2], account("two"))


def test_a_refusal_that_affects_no_other_agent() -> None:
    assert all_passed(
        run_checks.only_this_agent_refused("two", TEAM, report(TASKS[0], REFUSED), UNSPENT)
    )


@pytest.mark.parametrize(
    ("tasks", "evidence"),
    [
        pytest.param(TASKS, UNSPENT, id="no refusal"),
        pytest.param(
            (TASKS[0], task("b", "two", failure=Failure(type="Internal", message="x"))),
            UNSPENT,
            id="another failure",
        ),
        pytest.param(
            (
                TASKS[0],
                task("b", "two", failure=REFUSAL.model_copy(update={"required_usd": None})),
            ),
            UNSPENT,
            id="without figures",
        ),
        pytest.param((TASKS[0], REFUSED), GOOD, id="the refused call cost something"),
        pytest.param(
            (TASKS[0], REFUSED),
            charged(ACCOUNTS[0], account("one", "k1", budget=2), account("two")),
            id="another's budget changed",
        ),
        pytest.param(
            (TASKS[0], REFUSED),
            charged(ACCOUNTS[0], account("one", "k1", "k2"), account("two")),
            id="another paid for it",
        ),
        pytest.param(
            (task("a", "one", TaskStatus.CANCELLED), REFUSED), UNSPENT, id="another was stopped"
        ),
    ],
)
def test_a_refusal_that_fails_its_checks(tasks: Any, evidence: Evidence) -> None:
    assert not all_passed(run_checks.only_this_agent_refused("two", TEAM, report(*tasks), evidence))


def test_a_run_is_midway_when_a_task_is_done_and_another_runs() -> None:
    assert is_midway(BEFORE)
    assert not is_midway(BEFORE.model_copy(update={"tasks": TASKS}))
    assert not is_midway(BEFORE.model_copy(update={"tasks": BEFORE.tasks[1:]}))


def test_quotes_are_listed_once() -> None:
    assert quotes('{"findings": [{"quote": "A."}, {"quote": "B."}, {"quote": "A."}]}') == [
        "A.",
        "B.",
    ]
    assert quotes("plain text") == quotes('{"findings": 1}') == []
