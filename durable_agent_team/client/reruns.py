"""Continues a run that has ended: a new run, with new accounts, takes over what is paid for."""

from collections.abc import Collection, Sequence
from decimal import Decimal

from temporalio.client import Client

from durable_agent_team.client.ended_runs import read_ended_run
from durable_agent_team.client.exceptions import RerunRefused, translated
from durable_agent_team.client.origin_texts import lost_texts, without_lost_texts
from durable_agent_team.client.run_handle import RunHandle
from durable_agent_team.client.run_texts import texts_of
from durable_agent_team.contracts.base import Message, Usd
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.seed import Seed
from durable_agent_team.contracts.team import Identifier
from durable_agent_team.process.called_program import (
    rerun_command,
    starter_command,
    starter_program,
)
from durable_agent_team.rules.ended_run import EndedRun
from durable_agent_team.rules.seed_checks import seeded_tasks
from durable_agent_team.rules.seed_selection import seed_for_rerun, seed_for_reuse
from durable_agent_team.rules.team_changes import TeamChange, changed_team
from durable_agent_team.rules.validation import team_problems

MAX_LISTED = 20
"""Tasks, or calls, that an error names."""
MAX_SHOWN = 200
"""Characters of a call's arguments."""


class Saving(Message):
    """What a new run takes over, and what it will do. USD, as paid before."""

    reused_from: str
    tasks_taken_over: tuple[Identifier, ...]
    tasks_to_run: tuple[Identifier, ...]
    plans: bool
    """Its orchestrator makes the plan; then the tasks to run are not known yet."""
    answers: bool
    """The final answer is made again."""
    reused_usd: Usd


async def rerun_request(
    client: Client,
    run: str,
    *,
    tasks: Collection[str] = (),
    changes: Sequence[TeamChange] = (),
    repeat_effects: bool = False,
) -> RunRequest:
    """The start input of a run that continues `run`.

    It does again `tasks`, what is not done, and everything behind these; by default, what is not
    done and everything behind it. `changes` are settings of the new run. Where a tool with effects:
    once has acted, or may have, for a task that is done again, it is refused without
    `repeat_effects`: the new run calls the tool again. Raises `RerunRefused`,
    `RunNotFound`, `ServiceUnavailable`, and `UpdateRefused` where the history cannot be read.
    """
    ended = await _ended(client, run)
    _check_known(ended, tasks)
    await _check_documents(client, ended)
    team = ended.request.team
    for change in changes:
        try:
            team = changed_team(team, change)
        except KeyError as error:
            known = ", ".join(("orchestrator", *team.agents))
            raise RerunRefused(
                f"agent = {error.args[0]}: run {run} has no such agent (one of: {known})"
            ) from None
    seed = seed_for_rerun(ended, tasks, team)
    if not repeat_effects:
        _check_effects(ended, seed)
    request = ended.request.model_copy(update={"team": team, "seed": seed})
    problems = team_problems(request)
    if problems:
        raise RerunRefused("\n".join(str(each) for each in problems))
    return request


async def reuse_request(client: Client, request: RunRequest, run: str) -> RunRequest:
    """The start input with what its run would ask for in the same words as `run` did. Raises as
    `rerun_request` does."""
    ended = await _ended(client, run)
    return request.model_copy(update={"seed": seed_for_reuse(ended, request)})


async def _ended(client: Client, run: str) -> EndedRun:
    if await RunHandle(client, run).is_open():
        command = starter_command("retry", run, "TASK")
        raise RerunRefused(
            f"run {run}: it is still open, and only a run that has ended can be continued"
            f" (`{command}` does a task again in it)"
        )
    ended = await read_ended_run(client, run)
    with translated(run):
        return await without_lost_texts(ended, texts_of(client))


async def _check_documents(client: Client, ended: EndedRun) -> None:
    documents = ended.request.documents
    with translated(ended.id):
        lost = await lost_texts(documents.values(), texts_of(client))
    for name, ref in documents.items():
        if ref.sha256 in lost:
            raise RerunRefused(
                f"run {ended.id}: its document {name} is not in the store of large texts any more;"
                f" `{starter_program()} run TEAM --reuse RUN` reads it from its file"
            )


def _check_effects(ended: EndedRun, seed: Seed) -> None:
    plan = ended.whole_plan
    again = {task.id for task in plan.tasks} - set(seed.tasks) if plan is not None else set()
    found = [each for each in ended.acted if each.task in again]
    if not found:
        return
    lines = [
        f"  {each.task}: {each.tool} {cut(each.arguments, MAX_SHOWN)}:"
        f" {'has run' if each.is_known else 'may have run'}"
        for each in found[:MAX_LISTED]
    ]
    if len(found) > MAX_LISTED:
        lines.append(f"  and {len(found) - MAX_LISTED} more")
    command = rerun_command(ended.id, "--repeat-effects")
    raise RerunRefused(
        f"run {ended.id}: tools with `effects: once` have acted for tasks that run again, and would"
        " be called again:\n"
        + "\n".join(lines)
        + f"\nLook what has happened; `{command}` has them called again"
    )


def _check_known(ended: EndedRun, tasks: Collection[str]) -> None:
    plan = ended.whole_plan
    known = [task.id for task in plan.tasks] if plan is not None else []
    for task in tasks:
        if task not in known:
            names = ", ".join(known[:MAX_LISTED]) or "none: it has no plan"
            more = f" and {len(known) - MAX_LISTED} more" if len(known) > MAX_LISTED else ""
            raise RerunRefused(f"task = {task}: run {ended.id} has no such task ({names}{more})")


def saving_of(request: RunRequest) -> Saving:
    """What the seed of a start input saves."""
    seed = request.seed
    assert seed is not None
    tasks = seeded_tasks(request)
    paid = [*seed.tasks.values(), seed.plan, seed.answer]
    return Saving(
        reused_from=seed.origin,
        tasks_taken_over=tuple(seed.tasks),
        tasks_to_run=tuple(task.id for task in tasks if task.id not in seed.tasks),
        plans=not tasks,
        answers=seed.answer is None and request.team.final == "orchestrator",
        reused_usd=sum((each.cost_usd for each in paid if each is not None), Decimal(0)),
    )
