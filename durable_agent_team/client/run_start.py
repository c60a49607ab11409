"""Starts a run exactly once, also where the answer to its start was lost.

Temporal may have started a run although nothing answered. The token in the memo then shows whether
a run of this id is the one that was started here.
"""

import secrets
from datetime import UTC, datetime
from functools import partial
from typing import Final

from temporalio.client import Client
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from durable_agent_team.blobs.store import NoBlobs
from durable_agent_team.client.exceptions import (
    RunIdTaken,
    StartNotConfirmed,
    UpdateRefused,
    is_silence,
)
from durable_agent_team.client.run_control import CALL_TIMEOUT, within
from durable_agent_team.client.start_gate import ATTEMPT_TIMEOUT, gate_of
from durable_agent_team.contracts import names
from durable_agent_team.contracts.run import RunRequest, RunStatus
from durable_agent_team.contracts.team import Team
from durable_agent_team.payloads.converter import store_of
from durable_agent_team.rules.counts import counted, more
from durable_agent_team.rules.encoded_size import MAX_DETAILS_BYTES, text_content_bytes
from durable_agent_team.rules.safe_text import markdown_block, markdown_line
from durable_agent_team.rules.size_limits import start_problems

TEAM: Final = SearchAttributeKey.for_keyword(names.ATTRIBUTE_TEAM)
STATUS: Final = SearchAttributeKey.for_keyword(names.ATTRIBUTE_STATUS)
START_TOKEN: Final = "start"
"""The memo's key of the token."""
MAX_GOAL: Final = 1_000
"""Characters in the details: escaped they can be ten times as long, and Temporal takes 20 KB."""
MAX_ROWS: Final = 50


def new_run_id(team: str) -> str:
    """Ids sort by time. 64 random bits: no two of the same second are equal."""
    return f"{team}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}"


async def start_once(client: Client, request: RunRequest, run: str) -> None:
    """Returns when the run has started. Raises `RunIdTaken` and `StartNotConfirmed`,
    `UpdateRefused` for a request that is too large, and Temporal's `RPCError` for another one that
    it refuses."""
    has_store = not isinstance(store_of(client.data_converter), NoBlobs)
    too_large = "" if has_store else "; ".join(map(str, start_problems(request)))
    if too_large:
        raise UpdateRefused(f"run {run}: {too_large}; nothing was started")
    token = secrets.token_hex(8)
    try:
        await gate_of(client).start(partial(_start, client, request, run, token))
    except WorkflowAlreadyStartedError as error:
        raise RunIdTaken(run) from error
    except (RPCError, TimeoutError) as error:
        if isinstance(error, RPCError) and not is_silence(error):
            raise
        found = await _token_of(client, run)
        if found is None:
            raise StartNotConfirmed(run) from error
        if found != token:
            raise RunIdTaken(run) from error


async def _start(client: Client, request: RunRequest, run: str, token: str) -> None:
    team = request.team
    attributes = [
        SearchAttributePair(TEAM, team.name),
        SearchAttributePair(STATUS, RunStatus.STARTING.value),
    ]
    await client.start_workflow(
        names.WORKFLOW,
        request,
        id=run,
        task_queue=names.TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        memo={START_TOKEN: token, names.FORMAT_MEMO: names.HISTORY_FORMAT},
        search_attributes=TypedSearchAttributes(attributes),
        static_summary=summary(team),
        static_details=details(request),
        rpc_timeout=ATTEMPT_TIMEOUT,
    )


async def _token_of(client: Client, run: str) -> str | None:
    """The token in the memo of the run of this id. None without an answer, or without a run: the
    start may still be on its way."""
    describing = client.get_workflow_handle(run).describe(rpc_timeout=CALL_TIMEOUT)
    try:
        found = await within(CALL_TIMEOUT, describing)
    except (RPCError, TimeoutError):
        return None
    return str(await found.memo_value(START_TOKEN, default=""))


def summary(team: Team) -> str:
    """One line for Temporal's UI."""
    plan = counted(len(team.tasks), "task") if team.tasks else "planned from the goal"
    return f"{team.name} · {plan}"


def details(request: RunRequest) -> str:
    """Markdown for Temporal's UI: the goal, and each agent with its budget. A list, as the UI draws
    the columns of a table into each other."""
    team = request.team
    rows = [(names.ORCHESTRATOR_AGENT, "knows the goal", team.orchestrator.budget_usd)]
    rows += [(name, agent.role, agent.budget_usd) for name, agent in team.agents.items()]
    goal = request.effective_goal
    goal = goal if len(goal) <= MAX_GOAL else f"{goal[:MAX_GOAL]}…"
    lines = [markdown_block(goal), "", "**Agents**", ""]
    left = MAX_DETAILS_BYTES - text_content_bytes("\n".join(lines))
    for number, (name, role, usd) in enumerate(rows):
        budget = f"{usd} USD" if usd else "a share"
        row = f"- **{name}** · {markdown_line(role[:100])} · {budget}"
        left -= text_content_bytes(f"\n{row}")
        if number == MAX_ROWS or left < 0:
            lines.append(f"- and {more(len(rows) - number, 'agent', 'agents')}")
            break
        lines.append(row)
    return "\n".join(lines)
