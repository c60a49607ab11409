"""Every command that is printed can be pasted: a shell and the command line accept it as it is."""

import ast
from collections.abc import Iterator
from decimal import Decimal

import pytest

from durable_agent_team.cli.ui.run_tables import state_text, waiting_text
from durable_agent_team.cli.ui.spend_table import money_notes
from durable_agent_team.client.exceptions import NoWorker, RunClosed, RunNotFound, StartNotConfirmed
from durable_agent_team.contracts.run import Failure, Refusal, Waiting
from durable_agent_team.rules.safe_text import shell_command
from tests.cli.support import ROOT
from tests.cli.test_hostile_text import SHELL
from tests.cli.test_live import NOW, spent, state
from tests.support.printed_commands import commands_in, parsed, without_since
from workflows.people.parking import wake_command
from workflows.state.agent_account import AgentAccount

RUNS = ["brief-1", "a b", SHELL, "-x", "--json", "it's; `id`", "$HOME", "a\\nb", "市場"]
NAMING = {"durable_agent_team/contracts/names.py", "durable_agent_team/process/called_program.py"}
PACKAGES = ("durable_agent_team", "workflows", "activities")


def printed(run: str) -> Iterator[str]:
    """Texts with commands in them, as they are about a run."""
    yield str(RunNotFound(run))
    yield str(RunClosed(run))
    yield str(StartNotConfirmed(run))
    yield str(NoWorker(run))
    yield from money_notes(spent().model_copy(update={"workflow_id": run, "cut_off": True}))
    yield from (
        waiting_text(each)[1]
        for each in (
            waiting(shell_command(".venv/bin/python starter.py", "approve", run, "plan")),
            waiting(wake_command(run, "facts", account(), failure("BudgetExhausted"), NOW)),
            waiting(wake_command(run, "facts", account(), failure("Unauthorized"), NOW)),
            waiting(wake_command(run, "facts", account(), failure("EffectUnknown"), NOW)),
            waiting(wake_command(run, "facts", account(), failure("InputRequired"), NOW)),
        )
    )
    refused = f"`{shell_command('durable-agent-team', 'retry', run, 'facts')}` does"
    yield state_text(
        state().model_copy(
            update={
                "workflow_id": run,
                "refusals": (Refusal(at=NOW, message="approve", problem=refused),),
            }
        )
    )


def waiting(command: str) -> Waiting:
    return Waiting(subject="plan", reason="look", command=command, since=NOW)


def failure(kind: str) -> Failure:
    return Failure(type=kind, message="no", required_usd=Decimal(1), remaining_usd=Decimal(0))


def account() -> AgentAccount:
    return AgentAccount(agent="research", model="m", budget_usd=Decimal("0.001"))


@pytest.mark.parametrize("run", RUNS)
def test_every_command_about_a_run_can_be_pasted(run: str) -> None:
    commands = [command for text in printed(run) for command in commands_in(text)]
    names = {parsed(command)[0] for command in commands}
    assert {"list", "result", "state", "reconcile", "approve", "budget", "retry", "answer"} <= names
    for command in commands:
        arguments = [each for each in parsed(command) if each not in ("--", "--raise-only")]
        if "--since" in arguments:
            arguments = without_since(arguments)
        assert len(arguments) == 1 or arguments[1] == run, command


def test_no_message_names_a_program_by_itself() -> None:
    """Whoever installed the package, or is in another folder, calls it otherwise."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if str(path.relative_to(ROOT)) not in NAMING
        for line, text in _texts(ast.parse(path.read_text(encoding="utf-8")))
        if "starter.py " in text
    ]
    assert found == []


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """All texts of a module that are not docstrings."""
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.lineno, node.value
