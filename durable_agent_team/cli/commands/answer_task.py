"""`answer`: what a person says to a program, or about a call of a tool, that waits for it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from durable_agent_team.cli.arguments import Json, Run, Since
from durable_agent_team.cli.command_client import with_run
from durable_agent_team.cli.control_message import build_message
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.output import print_answer

if TYPE_CHECKING:
    from durable_agent_team.contracts.control import TaskAnswer

app = typer.Typer(rich_markup_mode=None)

DECISIONS = ("retry", "skip", "result")


@app.command()
def answer(
    run: Run,
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK", help="What waits, as `state` names it: a task, or a call `TASK:2.1`."
        ),
    ],
    decision: Annotated[
        str,
        typer.Argument(
            metavar="DECISION",
            help="`retry`: do it again. `skip`: continue without it. `result`: here is the answer.",
        ),
    ],
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="[TEXT]", help="With `result`: the tool's result (JSON or text), or the reply."
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Instead of TEXT: a file that has it.")
    ] = None,
    effect: Annotated[
        str | None,
        typer.Option("--effect", help="Which effect; by default, the one that the task waits for."),
    ] = None,
    since: Since = None,
    json: Json = False,
) -> int:
    """Answer a program or a tool that waits for a person. The work then continues.

    The answer says whether an effect that a tool began has happened (EffectUnknown), what to do
    about a tool that cannot be called, or what a remote agent wants to know (InputRequired);
    `state` shows which.
    """
    from durable_agent_team.contracts.control import AnswerTask

    if decision not in DECISIONS:
        problem = f"DECISION = {decision}: this is not one of the choices"
        raise CommandError(ExitCode.INVALID_INPUT, f"{problem} ({', '.join(DECISIONS)})")
    given: dict[str, Any] = {"result": _result(decision, text, file), "effect": effect}
    given = {name: value for name, value in given.items() if value is not None}
    names = {
        "task": "TASK",
        "decision": "DECISION",
        "result": "TEXT",
        "effect": "--effect",
        "since": "--since",
    }
    message = build_message(AnswerTask, names, task=task, decision=decision, since=since, **given)
    answered: TaskAnswer = with_run(
        run,
        lambda handle: handle.answer(
            message.task, message.decision, message.result, message.effect, since=message.since
        ),
    )
    then = "its agent continues" if ":" in answered.task else "it runs again"
    cut = ""
    if answered.result_bytes:
        cut = (
            f"; of the result's {answered.result_bytes:,} bytes it gets the beginning and the end,"
            f" {answered.max_result_bytes:,} bytes (`max_result_bytes` of the tool)"
        )
    return print_answer(answered, f"{answered.task}: answered; {then}{cut}", json)


def _result(decision: str, text: str | None, file: Path | None) -> str | None:
    """The text of `result`, from the command line or a file. Raises `CommandError`."""
    from durable_agent_team.contracts.effects import MAX_EFFECT_RESULT
    from durable_agent_team.team_files.yaml_file import Unreadable, read_text

    given = [each for each in (text, file) if each is not None]
    if decision != "result" and given:
        problem = f"TEXT: only `result` has one, and this is `{decision}`"
        raise CommandError(ExitCode.INVALID_INPUT, f"{problem} (leave it out)")
    if decision == "result" and len(given) != 1:
        problem = "TEXT: `result` needs one, on the command line or with --file"
        raise CommandError(ExitCode.INVALID_INPUT, f"{problem} (give one of the two)")
    if file is None:
        return text
    try:
        return read_text(file, MAX_EFFECT_RESULT)
    except Unreadable as error:
        what, remedy = error.args
        problem = f"--file = {file}: {what} ({remedy})"
        raise CommandError(ExitCode.INVALID_INPUT, problem) from error
