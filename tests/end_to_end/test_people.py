"""What a person can do with the stack, the starter and the Temporal CLI, with the real model."""

import json
import time
from decimal import Decimal
from typing import Any

import pytest

from durable_agent_team.contracts.run import RunReport, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement, SpendReport
from durable_agent_team.team_files.team_file import load_team
from tests.end_to_end.stack import ROOT, Desk

BRIEF = ROOT / "teams" / "market_brief.yaml"


def test_a_run_from_the_starter(desk: Desk) -> None:
    out = desk.starter("run", "teams/tiny_budget.yaml", "--id", "from-starter")
    assert "BudgetExhausted" in out
    assert "agrees" in out
    spend = SpendReport.model_validate_json(desk.starter("spend", "from-starter", "--json"))
    assert spend.ledger_agrees is LedgerAgreement.YES
    assert spend.ledger_usd == spend.total.spent_usd > 0
    report = RunReport.model_validate_json(desk.starter("result", "from-starter", "--json"))
    by_task = {outcome.task.id: outcome.task for outcome in report.outcomes}
    assert by_task["rivals"].status is TaskStatus.FAILED
    assert by_task["demand"].status is by_task["figures"].status is TaskStatus.DONE
    assert report.answer
    assert "from-starter" in desk.starter("list")


def test_a_run_from_the_temporal_cli_alone(desk: Desk) -> None:
    """Started with raw JSON, looked at, given money, cancelled: no line of ours in between."""
    run_request = load_team(BRIEF).model_dump(mode="json", exclude_unset=True)
    for agent in run_request["team"]["agents"].values():
        agent["max_tokens"] = 40  # a cancelled run waits for its calls in flight
    request = desk.folder / "request.json"
    request.write_text(json.dumps(run_request))
    start = ("workflow", "start", "--type", "Orchestrator", "--task-queue", "orchestrator")
    desk.temporal(*start, "--workflow-id", "from-cli", "--input-file", str(request))
    wait_for(desk, "from-cli", RunStatus.WORKING)
    named = ("--workflow-id", "from-cli")
    update = ("workflow", "update", "execute", *named, "--name", "adjust_budget")
    adjusted = desk.temporal(*update, "--input", '{"agent": "finance", "budget_usd": "0.03"}')
    assert "0.03" in str(adjusted)
    spend = SpendReport.model_validate(desk.query("from-cli", "spend"))
    budgets = {each.agent: each.budget_usd for each in spend.agents}
    assert budgets["finance"] == Decimal("0.03")
    signal = ("workflow", "signal", *named, "--name", "cancel")
    desk.temporal(*signal, "--input", '{"reason": "seen enough"}')
    desk.temporal("workflow", "result", *named, code=1)
    assert "FAILED" in str(desk.temporal("workflow", "describe", *named)).upper()
    report = RunReport.model_validate_json(desk.starter("result", "from-cli", "--json", code=1))
    assert report.status is RunStatus.CANCELLED
    assert report.cancel_reason == "seen enough"
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    assert desk.query("from-cli", "state")["status"] == "cancelled"


def test_a_plan_that_the_model_makes_is_worked_off(desk: Desk) -> None:
    out = desk.starter("run", "teams/market_brief_planned.yaml", "--id", "planned", "--json")
    report = RunReport.model_validate_json(out.splitlines()[-1])
    tasks = [outcome.task for outcome in report.outcomes]
    assert report.status is RunStatus.COMPLETED
    assert len(tasks) == 4
    assert all(task.status is TaskStatus.DONE for task in tasks)
    assert len({task.agent for task in tasks}) > 1


def wait_for(desk: Desk, run: str, status: RunStatus, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = desk.query(run, "state")
        if state["status"] == status.value:
            return state
        time.sleep(0.2)
    pytest.fail(f"{run} did not become {status.value}: {state}")
