"""Starts runs, lists them, and returns handles to them."""

import asyncio
import secrets
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from durable_agent_team.client.exceptions import RunIdTaken, translated
from durable_agent_team.client.run_control import CALL_TIMEOUT
from durable_agent_team.client.run_handle import RunHandle
from durable_agent_team.client.start_gate import ATTEMPT_TIMEOUT, gate_of
from durable_agent_team.client.terminated_runs import TERMINATED_STATUSES
from durable_agent_team.contracts import names
from durable_agent_team.contracts.base import Message, Usd, round_up
from durable_agent_team.contracts.run import RunRequest, RunStatus
from durable_agent_team.contracts.team import Team
from durable_agent_team.rules.safe_text import markdown_block, markdown_line

__all__ = ["RunHandle", "RunSummary", "get_run", "list_runs", "new_run_id", "start_run"]

TEAM = SearchAttributeKey.for_keyword(names.ATTRIBUTE_TEAM)
MAX_GOAL = 1_000
"""Characters in the details: escaped they can be ten times as long, and Temporal takes 20 KB."""
STATUS = SearchAttributeKey.for_keyword(names.ATTRIBUTE_STATUS)
SPENT = SearchAttributeKey.for_float(names.ATTRIBUTE_SPENT)


class RunSummary(Message):
    """One run in the list. `spent_usd` can be up to 10 s old while the run works."""

    workflow_id: str
    team: str
    status: str
    spent_usd: Usd | None
    started_at: datetime
    ended_at: datetime | None


async def start_run(client: Client, request: RunRequest, *, id: str | None = None) -> RunHandle:
    """Starts a run and returns its handle at once.

    `id` is the run's id, `<team>-<time>-<random>` if left out. Many can be started at once: a
    client sends a few starts at a time, and waits for a busy Temporal. Raises `RunIdTaken`,
    `UpdateRefused` (Temporal refused the request) and `ServiceUnavailable`.

    >>> client = await connect()
    >>> request = load_team("teams/market_brief.yaml", goal="Say whether to enter the market.")
    >>> run = await start_run(client, request, id="started-from-python")
    >>> report = await run.result()
    >>> print(report.status, report.answer)
    completed answer of answer
    """
    team = request.team
    run = id or new_run_id(team.name)
    attributes = [
        SearchAttributePair(TEAM, team.name),
        SearchAttributePair(STATUS, RunStatus.STARTING.value),
    ]
    start = partial(
        client.start_workflow,
        names.WORKFLOW,
        request,
        id=run,
        task_queue=names.TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        search_attributes=TypedSearchAttributes(attributes),
        static_summary=summary(team),
        static_details=details(request),
        rpc_timeout=ATTEMPT_TIMEOUT,
    )
    with translated(run):
        try:
            await gate_of(client).start(start)
        except WorkflowAlreadyStartedError as error:
            raise RunIdTaken(run) from error
    return get_run(client, run)


def new_run_id(team: str) -> str:
    """Ids sort by time; two of the same second differ."""
    now = datetime.now(UTC)
    return f"{team}-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def summary(team: Team) -> str:
    """One line for Temporal's UI."""
    count = len(team.tasks)
    plan = f"{count} task{'s' if count != 1 else ''}" if count else "planned from the goal"
    return f"{team.name} · {plan}"


def details(request: RunRequest) -> str:
    """Markdown for Temporal's UI: the goal, and each agent with its budget."""
    team = request.team
    rows = [(names.ORCHESTRATOR_AGENT, "knows the goal", team.orchestrator.budget_usd)]
    rows += [(name, agent.role, agent.budget_usd) for name, agent in team.agents.items()]
    shown = [
        f"| {name} | {markdown_line(role[:100])} | {f'${usd}' if usd else 'a share'} |"
        for name, role, usd in rows[:50]
    ]
    more = [f"| … {len(rows) - 50} more | | |"] if len(rows) > 50 else []
    goal = request.effective_goal
    goal = goal if len(goal) <= MAX_GOAL else f"{goal[:MAX_GOAL]}…"
    head = [markdown_block(goal), "", "| agent | role | budget |", "| --- | --- | --- |"]
    return "\n".join([*head, *shown, *more])


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
    """Returns summaries of the newest runs, the newest first.

    >>> client = await connect()
    >>> [summary] = await list_runs(client, limit=1)
    >>> print(summary.workflow_id, summary.team, summary.status)
    started-from-python market-brief completed
    """
    query = f"WorkflowType = '{names.WORKFLOW}'"
    with translated("list"):
        async with asyncio.timeout(CALL_TIMEOUT.total_seconds()):
            found = client.list_workflows(query, limit=limit, rpc_timeout=CALL_TIMEOUT)
            return [_summarise(run) async for run in found]


_ENDED = {
    WorkflowExecutionStatus.CANCELED: RunStatus.CANCELLED,
    WorkflowExecutionStatus.FAILED: RunStatus.FAILED,
    **TERMINATED_STATUSES,
}
"""Statuses in which Temporal is right: a run ended from outside did not record its own."""


def _summarise(run: WorkflowExecution) -> RunSummary:
    attributes = run.typed_search_attributes
    recorded = attributes.get(STATUS, RunStatus.STARTING.value)
    spent = attributes.get(SPENT)
    ended = _ENDED.get(run.status) if run.status else None
    return RunSummary(
        workflow_id=run.id,
        team=attributes.get(TEAM, ""),
        status=ended.value if ended else recorded,
        spent_usd=None if spent is None else round_up(Decimal(str(spent))),
        started_at=run.start_time,
        ended_at=run.close_time,
    )
