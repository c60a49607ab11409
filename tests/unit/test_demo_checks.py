"""The demo's promises can be broken: each of them is, here, by one thing that went wrong."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from durable_agent_team.cli.demo import run_checks
from durable_agent_team.cli.demo.demo_acts import in_the_middle, quotes
from durable_agent_team.cli.demo.run_checks import Promise
from durable_agent_team.cli.demo.run_evidence import Evidence
from durable_agent_team.contracts.call import Purpose
from durable_agent_team.contracts.run import Failure, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import Ledger, LedgerAgreement
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


def kept(promises: Iterable[Promise]) -> bool:
    return all(promise.kept for promise in promises)


def charged(*accounts: Ledger) -> Evidence:
    return replace(GOOD, accounts=accounts)


def test_a_run_as_promised_keeps_them_all() -> None:
    good = report(*TASKS)
    assert kept(run_checks.finished(good))
    assert kept(run_checks.money_adds_up(good, GOOD))
    assert kept(run_checks.goal_stays_home(GOAL, GOOD))
    assert kept(run_checks.nothing_lost(CRASH, good, GOOD))
    assert kept(run_checks.planned_well(TEAM, good, GOOD))


@pytest.mark.parametrize(
    "fields", [{"status": RunStatus.CANCELLED}, {"answer": None}, {"answer": " \n"}]
)
def test_no_answer(fields: dict[str, Any]) -> None:
    assert not kept(run_checks.finished(report(*TASKS, **fields)))


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
    assert not kept(run_checks.money_adds_up(report(*TASKS, **fields), charged(*accounts)))


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
def test_a_goal_that_does_not_stay_home(calls: Any) -> None:
    assert not kept(run_checks.goal_stays_home(GOAL, replace(GOOD, calls=calls)))


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
    assert not kept(run_checks.nothing_lost(crash, report(*tasks), evidence))


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
def test_a_poor_plan(tasks: Any, evidence: Evidence) -> None:
    assert not kept(run_checks.planned_well(TEAM, report(*tasks), evidence))


REFUSAL = Failure(
    type="BudgetExhausted",
    message="too little",
    required_usd=Decimal(2),
    remaining_usd=Decimal(1),
)
REFUSED = task("b", "two", TaskStatus.FAILED, failure=REFUSAL, spent_usd=Decimal(0))
UNSPENT = charged(*ACCOUNTS[:2], account("two"))


def test_a_refusal_that_touches_nobody_else() -> None:
    assert kept(run_checks.refused_alone("two", TEAM, report(TASKS[0], REFUSED), UNSPENT))


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
def test_a_refusal_that_is_not_as_promised(tasks: Any, evidence: Evidence) -> None:
    assert not kept(run_checks.refused_alone("two", TEAM, report(*tasks), evidence))


def test_the_middle_is_where_something_is_done_and_something_runs() -> None:
    assert in_the_middle(BEFORE)
    assert not in_the_middle(BEFORE.model_copy(update={"tasks": TASKS}))
    assert not in_the_middle(BEFORE.model_copy(update={"tasks": BEFORE.tasks[1:]}))


def test_quotes_of_a_handoff_each_once() -> None:
    assert quotes('{"findings": [{"quote": "A."}, {"quote": "B."}, {"quote": "A."}]}') == [
        "A.",
        "B.",
    ]
    assert quotes("plain text") == quotes('{"findings": 1}') == []
