"""`approve`, `reject`, `edit` and `approvals`: what waits for a person, and the answers to it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from durable_agent_team.cli.arguments import Json, Run, Since
from durable_agent_team.cli.command_client import with_run
from durable_agent_team.cli.control_message import build_message
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.output import print_answer, print_json, print_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from durable_agent_team.client.runs import RunHandle
    from durable_agent_team.contracts.approvals import Decided, PendingApproval
    from durable_agent_team.contracts.plan_in_full import PlanInFull
    from durable_agent_team.contracts.run import RunState

app = typer.Typer(rich_markup_mode=None)
NAMES = {
    "subject": "SUBJECT",
    "note": "--note",
    "arguments": "FILE",
    "sha256": "--sha256",
    "since": "--since",
}

Subject = Annotated[
    str,
    typer.Argument(
        metavar="SUBJECT",
        help="What waits, as `approvals` names it: `plan`, a task, or a call such as `refund:2.1`.",
    ),
]

Sha256 = Annotated[
    str | None,
    typer.Option("--sha256", help="Only if this is what waits, as `approvals` prints it."),
]


@app.command()
def approve(
    run: Run,
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="[SUBJECT]", help="What waits, such as `plan`. Without it: print the plan."
        ),
    ] = None,
    no: Annotated[
        bool, typer.Option("--no", help="Reject it, as `reject` does; of a plan, cancel the run.")
    ] = False,
    note: Annotated[str, typer.Option("--note", help="Why; an agent reads it.")] = "",
    sha256: Sha256 = None,
    since: Since = None,
    json: Json = False,
) -> int:
    """Approve what waits for a person; it continues. An approval counts once.

    Without SUBJECT it answers nothing: it prints the plan that waits, in full.
    """
    if subject is None:
        return _print_plan(run, json=json, answers=no or bool(note))
    return _decide(
        run, subject, approved=not no, note=note, only={"sha256": sha256, "since": since}, json=json
    )


@app.command()
def reject(
    run: Run,
    subject: Subject,
    note: Annotated[
        str, typer.Option("--note", help="Why; the agent gets it as the result of its call.")
    ],
    sha256: Sha256 = None,
    since: Since = None,
    json: Json = False,
) -> int:
    """Reject what waits for a person. An agent gets the note instead of its tool's result.

    Of a hand-off, the agent gets the note and answers again. A task that is rejected is skipped;
    with a plan, the run is cancelled.
    """
    if not note.strip():
        problem = "--note: is empty (say why: the agent gets it as the result of its call)"
        raise CommandError(ExitCode.INVALID_INPUT, problem)
    return _decide(
        run, subject, approved=False, note=note, only={"sha256": sha256, "since": since}, json=json
    )


@app.command()
def edit(
    run: Run,
    subject: Subject,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The arguments to run it with: a JSON object.")
    ],
    note: Annotated[str, typer.Option("--note", help="Why; it is kept with the call.")] = "",
    since: Since = None,
    json: Json = False,
) -> int:
    """Approve a call of a tool with other arguments. Its agent gets the result."""
    from durable_agent_team.contracts.control import Approve

    arguments = _arguments(file)
    given = {"note": note, "arguments": arguments, "since": since}
    message = build_message(Approve, NAMES, subject=subject, approved=True, **given)
    answer = with_run(
        run,
        lambda handle: handle.edit(message.subject, arguments, message.note, since=message.since),
    )
    return print_answer(answer, f"{answer.subject}: approved with the arguments of {file}", json)


@app.command()
def approvals(
    run: Run,
    subject: Annotated[
        str | None,
        typer.Argument(metavar="[SUBJECT]", help="Print only this one, in full length."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="JSON Lines: one approval a line, for programs.")
    ] = False,
) -> int:
    """Print what waits for approval, in full. Also the commands that answer it."""
    from durable_agent_team.cli.ui.approval_text import approvals_text
    from durable_agent_team.cli.ui.decided_text import decided_lines

    async def read(handle: "RunHandle") -> "tuple[list[PendingApproval], Sequence[Decided]]":
        if subject is None:
            waiting = await handle.approvals()
            return waiting, () if json else (await handle.state()).decisions
        found = await handle.approval(subject)
        return [] if found is None else [found], ()

    found, decided = with_run(run, read)
    if subject is not None and not found:
        problem = f"SUBJECT = {subject}: nothing of this name waits for approval"
        raise CommandError(ExitCode.INVALID_INPUT, f"{problem} (`approvals RUN` lists what does)")
    if json:
        for each in found:
            print_json(each)
    elif subject is not None:
        print_text("\n".join(_in_full(run, found[0])))
    else:
        print_text(approvals_text(run, found))
        if decided:
            print_text("\n".join(["", "decided", *decided_lines(decided)]))
    return ExitCode.DONE


def _in_full(run: str, found: "PendingApproval") -> list[str]:
    from durable_agent_team.cli.ui.approval_text import approval_lines

    return list(approval_lines(run, found))


def _decide(
    run: str, subject: str, *, approved: bool, note: str, only: dict[str, str | None], json: bool
) -> int:
    """`only` says which one of this name: its `sha256`, or `since` when it waits."""
    from durable_agent_team.cli.ui.approval_text import AFTER_NO, kind_of
    from durable_agent_team.contracts.approvals import ApprovalKind
    from durable_agent_team.contracts.control import Approve

    message = build_message(Approve, NAMES, subject=subject, approved=approved, note=note, **only)
    answer = with_run(
        run,
        lambda handle: handle.approve(
            message.subject, approved, note, sha256=message.sha256, since=message.since
        ),
    )
    kind = kind_of(answer.subject)
    outcome = "approved; the run continues" if kind is ApprovalKind.PLAN else "approved"
    if not approved:
        outcome = f"rejected; {AFTER_NO[kind]}"
    return print_answer(answer, f"{answer.subject}: {outcome}", json)


def _print_plan(run: str, *, json: bool, answers: bool) -> int:
    """What waits for approval, with the commands that answer it."""
    from durable_agent_team.cli.ui.plan_text import plan_answers, plan_text, waits_for_approval
    from durable_agent_team.cli.ui.run_tables import waiting_text
    from durable_agent_team.process.called_program import starter_command

    if answers:
        problem = "SUBJECT: missing, so nothing was answered (name what waits, such as `plan`)"
        raise CommandError(ExitCode.INVALID_INPUT, problem)

    async def read(handle: "RunHandle") -> "tuple[RunState, PlanInFull | None]":
        return await handle.state(), await handle.plan()

    state, plan = with_run(run, read)
    if plan is None:
        problem = f"run {run}: it has no plan yet (`{starter_command('state', run)}` shows why)"
        raise CommandError(ExitCode.INVALID_INPUT, problem)
    waits = waits_for_approval(state)
    if waits:
        answer = plan_answers(run, waits)
    else:
        answer = ["nothing of it waits for approval"]
        answer += [line for each in state.waiting for line in waiting_text(each)]
    return print_answer(plan, "\n".join([plan_text(plan), "", *answer]), json)


def _arguments(file: Path) -> str:
    """The text of a JSON object, from a file. Raises `CommandError`."""
    import json

    from durable_agent_team.contracts.conversation import MAX_ARGUMENTS
    from durable_agent_team.team_files.yaml_file import Unreadable, read_text

    try:
        text = read_text(file, MAX_ARGUMENTS).strip()
    except Unreadable as error:
        what, remedy = error.args
        problem = f"FILE = {file}: {what} ({remedy})"
        raise CommandError(ExitCode.INVALID_INPUT, problem) from error
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = (
            f", line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else ""
        )
        problem = f"FILE = {file}: is not JSON{where} (write the arguments as an object)"
        raise CommandError(ExitCode.INVALID_INPUT, problem) from error
    if not isinstance(found, dict):
        problem = f"FILE = {file}: is not a JSON object (write the arguments as an object)"
        raise CommandError(ExitCode.INVALID_INPUT, problem)
    return text
