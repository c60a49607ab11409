"""All commands, and the module of each, which is imported only when the command is called."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from durable_agent_team.cli import commands
from durable_agent_team.cli.exit_codes import HELP
from durable_agent_team.process.called_program import starter_program


class Entry(NamedTuple):
    """The module of a command in `commands/`, and the first sentence of the command's help."""

    module: str
    summary: str


COMMANDS: Final[Mapping[str, Entry]] = MappingProxyType(
    {
        "run": Entry("start_run", "Start a run, follow it, print its answer and its price."),
        "start": Entry("start_run", "Start a run and print its id."),
        "start-input": Entry(
            "write_start_input", "Print the `temporal workflow start` command for a team file."
        ),
        "rerun": Entry("rerun_run", "Continue an ended run, as a new run."),
        "watch": Entry("view_runs", "Follow a run until it ends; print its answer and its price."),
        "result": Entry("view_runs", "Wait for the end of a run; print its answer and its price."),
        "state": Entry("view_runs", "Print a run's status and its tasks."),
        "spend": Entry("view_runs", "Print what each agent has spent, and its budget."),
        "list": Entry(
            "view_runs",
            "Print runs, open ones first: id, team, status, spend, start.",
        ),
        "cancel": Entry("steer_run", "Ask a run to stop."),
        "budget": Entry("steer_run", "Give an agent a new limit."),
        "transfer": Entry("steer_run", "Move unspent money between two agents of a run."),
        "retry": Entry("steer_run", "Wake a parked task, or redo one that has failed or is done."),
        "cancel-task": Entry("steer_run", "Stop one task."),
        "approvals": Entry("decide_approvals", "Print what waits for approval, in full."),
        "approve": Entry("decide_approvals", "Approve what waits for a person; it continues."),
        "reject": Entry("decide_approvals", "Reject what waits for a person."),
        "edit": Entry("decide_approvals", "Approve a call of a tool with other arguments."),
        "answer": Entry("answer_task", "Answer a program or a tool that waits for a person."),
        "pause": Entry("steer_run", "Stop a run from starting new calls."),
        "resume": Entry("steer_run", "Continue a paused run, and what an unpaid upstream held up."),
        "agent": Entry("adjust_run", "Give an agent other settings for its next calls."),
        "add-task": Entry("adjust_run", "Add a task to an open run."),
        "limits": Entry("adjust_run", "Change a run's limits for what has not started."),
        "task": Entry("show_task", "Print a task call by call."),
        "charges": Entry("list_charges", "Print a run's ledger, call by call."),
        "reconcile": Entry("list_charges", "Close the accounts of a run that was terminated."),
        "graph": Entry("draw_graph", "Print the plan of a team file or a run."),
        "report": Entry("write_report", "Write the report of an ended run to a file."),
        "validate": Entry("validate_team", "Check a team file: every error at once."),
        "mcp": Entry("serve_mcp", "Offer runs as MCP tools to any client."),
        "models": Entry("list_models", "Print the models that can be called."),
        "estimate": Entry("estimate_cost", "Print what a team can cost at most."),
        "schema": Entry("draft_team", "Print the JSON Schema of a team file."),
        "init": Entry("draft_team", "Write NAME.yaml: a small team file with comments."),
    }
)


class LazyGroup(TyperGroup):
    """Lists every command without importing it, and imports the one that is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Finds the command in the list, then imports it."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed if name is None else load_command(name), _with_lists(name, rest)


def _with_lists(name: str | None, arguments: list[str]) -> list[str]:
    """`init --from` without a team lists them: Typer has no options with an optional value."""
    given = list(arguments)
    if name == "init" and "--from" in given:
        place = given.index("--from") + 1
        if place == len(given) or given[place].startswith("-"):
            given.insert(place, "")
    return given


def load_command(name: str) -> TyperCommand:
    """Imports a command. Raises `KeyError` for an unknown name."""
    module = import_module(f"{commands.__name__}.{COMMANDS[name].module}")
    command = get_group(module.app).commands[name]
    assert isinstance(command, TyperCommand)
    return command


def command_group() -> LazyGroup:
    """The whole command line."""
    listed = {name: TyperCommand(name, help=each.summary) for name, each in COMMANDS.items()}
    return LazyGroup(
        name=starter_program(),
        commands={**listed},
        help="Run a team of agents toward a goal: durably, in parallel, at an exact price.",
        epilog=HELP,
        no_args_is_help=True,
        rich_markup_mode=None,
    )
