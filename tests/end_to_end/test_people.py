"""What a person can do with the stack, the demo, the starter and the Temporal CLI, with the real
model. The model takes seconds for a page: the demo's runs serve as many tests as they can, and
other runs read the first paragraph of each document."""

import json
import re
import shutil
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from durable_agent_team.contracts.run import RunReport, RunStatus, TaskStatus
from durable_agent_team.contracts.spend import LedgerAgreement, SpendReport
from durable_agent_team.process.stack_state import read_state
from durable_agent_team.team_files.team_file import load_team
from tests.end_to_end.stack import DEMO, ROOT, Desk

TEAMS = ROOT / "teams"

pytestmark = pytest.mark.timeout(600)  # a busy machine with a real model, and several commands


@pytest.fixture(scope="module")
def demo(desk: Desk) -> str:
    """What `make demo` printed."""
    before = desk.info.worker_pid
    out = desk.command(*DEMO, timeout=900)
    assert desk.info.worker_pid not in (None, before), "its first act kills the worker"
    return out


@pytest.mark.timeout(930)
def test_four_acts_on_the_stack_that_is_up(desk: Desk, demo: str) -> None:
    assert "the one that is up" in demo
    assert "CHECK FAILED" not in demo
    assert "the refund was paid once" in demo
    assert "was refused: required 0.00" in demo
    assert "the result of act 1: quotes, each checked word for word" in demo
    assert "sum, by the gateway's ledger" in demo
    assert f"{desk.info.ui_url}/namespaces/default/workflows" in demo
    assert read_state(desk.folder) is not None, "a stack that was up stays up"


def test_a_plan_that_the_model_made_was_worked_off(desk: Desk, demo: str) -> None:
    report = result(desk, run_of(demo, "act 2"))
    tasks = [outcome.task for outcome in report.outcomes]
    assert report.status is RunStatus.COMPLETED
    assert len(tasks) == 4
    assert all(task.status is TaskStatus.DONE for task in tasks)
    assert len({task.agent for task in tasks}) > 1


def test_only_the_agent_without_money_failed(desk: Desk, demo: str) -> None:
    run = run_of(demo, "act 3")
    spend = SpendReport.model_validate_json(desk.starter("spend", run, "--json"))
    assert spend.ledger_agrees is LedgerAgreement.YES
    assert spend.ledger_usd == spend.total.spent_usd > 0
    report = result(desk, run)
    by_task = {outcome.task.id: outcome.task for outcome in report.outcomes}
    assert by_task["rivals"].status is TaskStatus.FAILED
    assert by_task["demand"].status is by_task["figures"].status is TaskStatus.DONE
    assert report.answer
    assert run in desk.starter("list")


def test_a_run_from_the_starter(desk: Desk) -> None:
    team = first_paragraphs(desk.folder, "tiny_budget.yaml")
    out = desk.starter("run", str(team), "--id", "from-starter")
    assert "BudgetExhausted" in out
    assert "agrees" in out
    assert result(desk, "from-starter").answer
    assert "from-starter" in desk.starter("list")


def test_a_run_from_the_temporal_cli_alone(desk: Desk) -> None:
    """Started with raw JSON, queried, given money, cancelled: no line of ours in between."""
    team = first_paragraphs(desk.folder, "market_brief.yaml")
    run_request = load_team(team).model_dump(mode="json", exclude_unset=True)
    run_request["team"]["max_parallel"] = 1  # a cancelled run waits for its calls in flight
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
    report = result(desk, "from-cli", code=1)
    assert report.status is RunStatus.CANCELLED
    assert report.cancel_reason == "seen enough"
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    assert desk.query("from-cli", "state")["status"] == "cancelled"


def run_of(demo: str, act: str) -> str:
    """The id of an act's run, as the demo prints it at its end."""
    found = re.search(rf"^  {act}: (\S+)$", demo, re.MULTILINE)
    assert found, demo
    return found[1]


def result(desk: Desk, run: str, code: int = 0) -> RunReport:
    return RunReport.model_validate_json(desk.starter("result", run, "--json", code=code))


def first_paragraphs(folder: Path, name: str) -> Path:
    """A copy of one of our teams whose documents have a heading and one paragraph."""
    team = folder / name
    shutil.copy(TEAMS / name, team)
    (folder / "sources").mkdir(exist_ok=True)
    for document in re.findall(r"sources/[\w.]+", team.read_text()):
        text = (TEAMS / document).read_text()
        paragraph = next(each for each in text.split("\n\n") if each[0].isalpha())
        (folder / document).write_text(paragraph)
    return team


def wait_for(desk: Desk, run: str, status: RunStatus, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = desk.query(run, "state")
        if state["status"] == status.value:
            return state
        time.sleep(0.2)
    pytest.fail(f"{run} did not become {status.value}: {state}")
