"""Starts runs, lists them, and returns handles to them."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey

from durable_agent_team.blobs.texts import stored_request
from durable_agent_team.client.exceptions import translated
from durable_agent_team.client.reruns import rerun_request, reuse_request
from durable_agent_team.client.run_control import CALL_TIMEOUT
from durable_agent_team.client.run_executions import started_at
from durable_agent_team.client.run_handle import RunHandle
from durable_agent_team.client.run_start import STATUS, TEAM, new_run_id, start_once
from durable_agent_team.client.run_texts import texts_of
from durable_agent_team.client.terminated_runs import TERMINATED_STATUSES
from durable_agent_team.contracts import names
from durable_agent_team.contracts.base import Message, Usd, round_up
from durable_agent_team.contracts.run import RunRequest, RunStatus
from durable_agent_team.rules.team_changes import TeamChange

__all__ = ["RunHandle", "RunSummary", "get_run", "list_runs", "new_run_id", "rerun", "start_run"]

SPENT = SearchAttributeKey.for_float(names.ATTRIBUTE_SPENT)


class RunSummary(Message):
    """One run in the list. `spent_usd` can be up to 10 s old while the run works."""

    workflow_id: str
    team: str
    status: str
    spent_usd: Usd | None
    started_at: datetime
    ended_at: datetime | None


async def start_run(
    client: Client, request: RunRequest, *, id: str | None = None, reuse: str | None = None
) -> RunHandle:
    """Starts a run and returns its handle at once.

    `id` is the run's id, `<team>-<time>-<random>` if left out. `reuse` is the id of a run that has
    ended: what this run would ask for in the same words is taken over from there, and not paid
    again. The request's documents go to the store of large texts first, where there is one. Many
    runs can be started at once: a client sends a few starts at a time, and waits for a busy
    Temporal. Raises `RunIdTaken`, `TextsUnavailable`, `UpdateRefused` (the request is too large, or
    Temporal refused it), `ServiceUnavailable`, and `StartNotConfirmed` where the run may have
    started; with `reuse` also `RunNotFound` and `RerunRefused`.

    >>> client = await connect()
    >>> request = load_team("teams/market_brief.yaml", goal="Say whether to enter the market.")
    >>> run = await start_run(client, request, id="started-from-python")
    >>> report = await run.result()
    >>> print(report.status, report.answer)
    completed {"findings": []}
    """
    if reuse is not None:
        request = await reuse_request(client, request, reuse)
    run = id or new_run_id(request.team.name)
    with translated(run):
        stored = await stored_request(request, texts_of(client))
        await start_once(client, stored, run)
    return get_run(client, run)


async def rerun(
    client: Client,
    run: str,
    *,
    tasks: Collection[str] = (),
    changes: Sequence[TeamChange] = (),
    repeat_effects: bool = False,
    id: str | None = None,
) -> RunHandle:
    """Starts a run that continues one that has ended, and returns its handle at once.

    It takes over the plan, and the hand-offs of what is done. Again it does `tasks`, what was not
    done, and everything behind these. `changes` are other settings: `AdjustAgent`, `AdjustBudget`
    and `AdjustRun` of `durable_agent_team.contracts`. Where that would call a tool again that may
    act only once, it is refused without `repeat_effects`. Raises as `start_run` does.

    >>> client = await connect()
    >>> run = await rerun(client, "started-from-python")
    >>> print((await run.result()).status)
    completed
    """
    request = await rerun_request(
        client, run, tasks=tasks, changes=changes, repeat_effects=repeat_effects
    )
    return await start_run(client, request, id=id)


def get_run(client: Client, id: str) -> RunHandle:
    """Returns a handle to an existing run.

    Sends nothing: the first method of the handle raises `RunNotFound` for an unknown id.

    >>> client = await connect()
    >>> run = get_run(client, "started-from-python")
    >>> print((await run.state()).status)
    completed
    """
    return RunHandle(client, id)


async def list_runs(client: Client, limit: int = 20) -> list[RunSummary]:
    """Returns summaries of runs as Temporal lists them: those that are open, the newest first, then
    those that have ended, the last one first.

    >>> client = await connect()
    >>> [summary] = await list_runs(client, limit=1)
    >>> print(summary.workflow_id, summary.team, summary.status)
    started-from-python market-brief completed
    """
    query = f"WorkflowType = '{names.WORKFLOW}' AND ExecutionStatus != 'ContinuedAsNew'"
    with translated("list"):
        async with asyncio.timeout(CALL_TIMEOUT.total_seconds()):
            found = client.list_workflows(query, limit=limit, rpc_timeout=CALL_TIMEOUT)
            return [await _summarise(run) async for run in found]


_ENDED = {
    WorkflowExecutionStatus.CANCELED: RunStatus.CANCELLED,
    **TERMINATED_STATUSES,
}
"""Statuses in which Temporal is right: a run ended from outside did not record its own."""


async def _summarise(run: WorkflowExecution) -> RunSummary:
    attributes = run.typed_search_attributes
    recorded = attributes.get(STATUS, RunStatus.STARTING.value)
    spent = attributes.get(SPENT)
    ended = _ENDED.get(run.status) if run.status else None
    if run.status is WorkflowExecutionStatus.FAILED and recorded != RunStatus.CANCELLED:
        ended = RunStatus.FAILED  # a cancelled run fails, too: its report is in the error
    return RunSummary(
        workflow_id=run.id,
        team=attributes.get(TEAM, ""),
        status=ended.value if ended else recorded,
        spent_usd=None if spent is None else round_up(Decimal(str(spent))),
        started_at=await started_at(run),
        ended_at=run.close_time,
    )
