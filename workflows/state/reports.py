"""The answers of the queries `spend` and `state`, and the report, made from a run's progress.

What has a fixed length is always there. Texts share what is left of the bound, the most important
ones first, and are cut where it ends.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.call import MAX_ANSWER
from durable_agent_team.contracts.error_types import ERRORS, ErrorType, Outcome
from durable_agent_team.contracts.run import (
    TASKS_PER_PAGE,
    Failure,
    Retrying,
    RetryState,
    RunReport,
    RunState,
    TaskOutcome,
    TaskState,
)
from durable_agent_team.contracts.spend import (
    AGENTS_PER_PAGE,
    AgentSpend,
    SpendReport,
    Totals,
)
from durable_agent_team.contracts.team import Task
from durable_agent_team.contracts.text_ref import Text, TextRef, preview_of
from durable_agent_team.rules.catalog import caller_of
from durable_agent_team.rules.encoded_size import (
    MAX_PAYLOAD_BYTES,
    cut_to_bytes,
    encoded_bytes,
    text_content_bytes,
)
from workflows.state.call_trouble import CallTrouble
from workflows.state.open_tools import open_tool_calls, tool_step
from workflows.state.progress import Progress
from workflows.state.room import Room
from workflows.state.waiting_list import statuses, waiting_list

MAX_REPORT_BYTES = MAX_PAYLOAD_BYTES - 20_000
"""The size of a report as JSON. A failed run carries it in its error's details."""
MAX_STATE_BYTES = 64 * 1024
"""The size of a state as JSON: Temporal's CLI and UI show it whole."""
MAX_OUTPUT_BYTES = 800_000
"""The size of all hand-offs in a report, as JSON; less where the answer leaves less."""
MAX_MESSAGE_BYTES = 200_000
"""The size of the messages of all failed tasks in a report."""
LEAST_FOR_TEXTS = 500_000
"""What a report that would not fit has for the messages and the answer, once it is cut."""
MAX_SHOWN_ANSWER = 2_000
"""Characters of an answer that consists of references."""
CUT_ANSWER = "\n\n[cut here: the report has each task's own output]"
CUT_HERE = "\n\n[cut here: the whole answer does not fit into the report]"
MESSAGE_IN_STATE = 300
MESSAGE_IN_REPORT = 2_000
"""Characters of a failed task's message."""
MAX_GOAL = 500
PREPARING = "preparing environment"
"""What `state` says of a task whose program waits for its environment."""
MAX_FAILURE_BYTES = 4_000
MAX_REASON_BYTES = 2_000
"""In a state; as JSON, where most texts of this length are whole."""
MAX_WAITING = 50
MAX_DECISIONS = 20
MAX_MODEL_BYTES = 200
"""The size of a model's name, for each agent."""
MAX_DEPENDENCY_BYTES = 50_000
"""The size of the ids of all dependencies in a message: thousands of edges, not a million."""


def spend_report(progress: Progress) -> SpendReport:
    """What a run has spent, with all agents: for its report."""
    status = statuses(progress)
    agents = tuple(
        _with_short_model(each.report()).model_copy(update={"status": status[name]})
        for name, each in progress.accounts.items()
    )
    return SpendReport(
        workflow_id=progress.workflow_id,
        agents=agents,
        total=Totals.of(agents),
        ledger_usd=progress.ledger_usd,
        ledger_agrees=progress.ledger_agrees,
        capabilities=progress.capabilities,
        **({} if progress.reused_usd is None else {"reused_usd": progress.reused_usd}),
    )


def spend_page(progress: Progress, page: int) -> SpendReport:
    """The answer of the query `spend`: agents come in pages (from 1), the totals are of all."""
    whole = spend_report(progress)
    total = len(whole.agents)
    if page == 1 and total <= AGENTS_PER_PAGE:
        return whole
    first = (page - 1) * AGENTS_PER_PAGE
    shown = whole.agents[first : first + AGENTS_PER_PAGE]
    return whole.model_copy(update={"agents": shown, "page": page, "agents_total": total})


def _with_short_model(agent: AgentSpend) -> AgentSpend:
    model = cut_to_bytes(agent.model, MAX_MODEL_BYTES)
    return agent if model == agent.model else agent.model_copy(update={"model": model})


def run_state(progress: Progress, page: int) -> RunState:
    """The answer of the query `state`: texts are cut, tasks come in pages (from 1)."""
    tasks = list(progress.tasks.schedule.tasks.values())
    first = (page - 1) * TASKS_PER_PAGE
    shown = tasks[first : first + TASKS_PER_PAGE]
    spent = progress.spent_by_task()
    failure = progress.failure
    bare = RunState(
        workflow_id=progress.workflow_id,
        team=progress.team_name,
        goal="",
        status=progress.status_now,
        paused=progress.paused,
        max_parallel=progress.request.team.max_parallel if progress.request else None,
        deadline=progress.deadline,
        cancel_reason=progress.cancel_reason and "",
        tasks=tuple(_bare(progress, task, spent) for task in shown),
        tasks_total=len(tasks),
        page=page,
        waiting=(),
        retrying=(),
        refusals=(),
        failure=failure and _without_message(failure),
    )
    room = Room(MAX_STATE_BYTES - encoded_bytes(bare))
    texts: dict[str, Any] = {
        "failure": failure and _shortened(failure, room, MAX_FAILURE_BYTES),
        "cancel_reason": progress.cancel_reason
        and room.shortened(progress.cancel_reason, MAX_REASON_BYTES),
        "goal": room.shortened(progress.goal[:MAX_GOAL], MAX_REASON_BYTES),
        "waiting": room.part(room.left // 2).messages(
            waiting_list(progress, MAX_WAITING)[:MAX_WAITING]
        ),
        "retrying": room.part(room.left // 3).messages(
            list(islice(_retrying(progress), MAX_WAITING))
        ),
        "refusals": room.part(room.left // 3).messages(progress.refusals[::-1])[::-1],
        **_tool_calls(progress, room.part(room.left // 3)),
        **_decisions(progress, room.part(room.left // 4)),
        "tasks": tuple(_with_texts(progress, shown, spent, room, room.left, MESSAGE_IN_STATE)),
    }
    return bare.model_copy(update=texts)


def _tool_calls(progress: Progress, room: Room) -> dict[str, Any]:
    """Nothing in a run without tools."""
    found = room.messages(list(islice(open_tool_calls(progress), MAX_WAITING)))
    return {"tool_calls": found} if found else {}


def _decisions(progress: Progress, room: Room) -> dict[str, Any]:
    """The last ones; nothing in a run in which nobody was asked."""
    found = room.messages(progress.decided[-MAX_DECISIONS:][::-1])[::-1]
    return {"decisions": found} if found else {}


def run_report(progress: Progress, ended_at: datetime) -> RunReport:
    """What a run returns: its hand-offs, and what each agent has spent."""
    tasks = list(progress.tasks.schedule.tasks.values())
    spent = progress.spent_by_task()
    bare = RunReport(
        workflow_id=progress.workflow_id,
        team=progress.team_name,
        goal=progress.goal,
        status=progress.status,
        answer=progress.answer and "",
        **({"answer_parts": progress.answer_parts} if progress.answer_parts else {}),
        outcomes=tuple(
            _outcome(_bare(progress, task, spent), _without_text(progress, task), Room(0))
            for task in tasks
        ),
        spend=spend_report(progress),
        cancel_reason=progress.cancel_reason,
        failure=progress.failure,
        started_at=progress.started_at,
        ended_at=ended_at,
        call_seconds=round(progress.call_seconds, 3),
        **({"decisions": tuple(progress.decided)} if progress.decided else {}),
    )
    bare = _cut_to_fit(bare)
    whole = len(tasks) - bare.outcomes_cut
    room = Room(MAX_REPORT_BYTES - encoded_bytes(bare))
    states = [
        *_with_texts(progress, tasks[:whole], spent, room, MAX_MESSAGE_BYTES, MESSAGE_IN_REPORT),
        *(each.task for each in bare.outcomes[whole:]),
    ]
    answer = _answer(progress.answer, room)
    outputs = room.part(MAX_OUTPUT_BYTES)
    outcomes = tuple(
        _outcome(state, progress.tasks.handoffs.get(state.id), outputs) for state in states
    )
    return bare.model_copy(update={"answer": answer, "outcomes": outcomes})


def _cut_to_fit(bare: RunReport) -> RunReport:
    """A report that fits, as almost all do; of another one, the last tasks lose all but what a
    run that continues this one has to know, until there is room for the texts."""
    over = encoded_bytes(bare) - MAX_REPORT_BYTES
    if over <= 0:
        return bare
    over += LEAST_FOR_TEXTS
    outcomes, cut = list(bare.outcomes), 0
    for n in reversed(range(len(outcomes))):
        if over <= 0:
            break
        least = outcomes[n].model_copy(update={"task": _least(outcomes[n].task)})
        over -= encoded_bytes(outcomes[n]) - encoded_bytes(least)
        outcomes[n], cut = least, cut + 1
    return bare.model_copy(update={"outcomes": tuple(outcomes), "outcomes_cut": cut})


def _least(task: TaskState) -> TaskState:
    return TaskState(
        id=task.id,
        agent=task.agent,
        status=task.status,
        depends_on=(),
        calls=task.calls,
        spent_usd=task.spent_usd,
        started_at=None,
        ended_at=None,
        failure=None,
    )


def _bare(progress: Progress, task: Task, spent: Mapping[str, Decimal]) -> TaskState:
    """A task without what has no fixed length: its dependencies, the message of its failure."""
    failure = progress.tasks.logs[task.id].failure
    return _state(progress, task, spent, (), failure and _without_message(failure))


def _with_texts(
    progress: Progress,
    tasks: Sequence[Task],
    spent: Mapping[str, Decimal],
    room: Room,
    most: int,
    shown: int,
) -> Iterator[TaskState]:
    """Tasks with their dependencies, and with messages that have at most `shown` characters, and
    `most` bytes together, of which each failed task gets an equal share."""
    logs = progress.tasks.logs
    failed = sum(logs[task.id].failure is not None for task in tasks)
    share = min(most, room.left) // max(failed, 1)
    edges = room.part(MAX_DEPENDENCY_BYTES)
    for task in tasks:
        failure = logs[task.id].failure
        if failure is not None:
            failure = _shortened(_first_characters(failure, shown), room, share)
        yield _state(progress, task, spent, edges.names(task.depends_on), failure)


def _state(
    progress: Progress,
    task: Task,
    spent: Mapping[str, Decimal],
    depends_on: tuple[str, ...],
    failure: Failure | None,
) -> TaskState:
    log = progress.tasks.logs[task.id]
    trouble = progress.troubled.get(task.id)
    return TaskState(
        id=task.id,
        agent=task.agent,
        status=progress.tasks.schedule.status[task.id],
        depends_on=depends_on,
        **({"depends_on_cut": True} if len(depends_on) < len(task.depends_on) else {}),
        calls=log.calls,
        spent_usd=spent.get(task.id, Decimal(0)),
        started_at=log.started_at,
        ended_at=log.ended_at,
        failure=failure,
        **({"retry": RetryState(**_retry_fields(progress, trouble))} if trouble else {}),
        **_reused(progress, task.id),
        **_step(progress, task.id),
    )


def _step(progress: Progress, task_id: str) -> dict[str, Any]:
    scope = progress.scopes.get(task_id)
    if scope is not None and scope.preparing:
        return {"step": PREPARING}
    conversation = progress.conversations.get(task_id)
    work = progress.tool_work.get(conversation.id) if conversation is not None else None
    step = tool_step(work) if work is not None else None
    return {"step": step} if step is not None else {}


def _reused(progress: Progress, task_id: str) -> dict[str, Any]:
    reused = progress.tasks.reused.get(task_id)
    if reused is None:
        return {}
    return {"reused_from": reused.origin, "reused_usd": reused.cost_usd}


def _retrying(progress: Progress) -> Iterator[Retrying]:
    for subject, trouble in progress.troubled.items():
        yield Retrying(
            subject=subject,
            agent=trouble.agent,
            message=trouble.message,
            until=trouble.until if _is_outlasted(trouble) else None,
            **_retry_fields(progress, trouble),
        )


def _is_outlasted(trouble: CallTrouble) -> bool:
    """Whether it is waited out; anything else ends after the agent's `max_attempts`."""
    return ERRORS[ErrorType(trouble.type)].outcome is Outcome.OUTLASTED


def _retry_fields(progress: Progress, trouble: CallTrouble) -> dict[str, Any]:
    planned = trouble.planned
    if not _is_outlasted(trouble):
        retry = caller_of(progress.team, trouble.agent).retry
        planned = trouble.attempts + retry.max_attempts - trouble.counted
    return {
        "attempt": trouble.attempts + 1,
        "of": max(planned, trouble.attempts + 1),
        "type": trouble.type,
        "next_at": trouble.next_at,
    }


def _without_message(failure: Failure) -> Failure:
    return failure.model_copy(update={"message": ""})


def _first_characters(failure: Failure, shown: int) -> Failure:
    if len(failure.message) <= shown:
        return failure
    return failure.model_copy(update={"message": f"{failure.message[:shown]}…"})


def _shortened(failure: Failure, room: Room, most_bytes: int) -> Failure:
    message = room.shortened(failure.message, most_bytes)
    return (
        failure if message == failure.message else failure.model_copy(update={"message": message})
    )


def _answer(answer: str | None, room: Room) -> str | None:
    """The answer, whole wherever it fits."""
    if answer is None or text_content_bytes(answer) <= room.left:
        return answer if answer is None else room.beginning(answer)
    kept = room.part(room.left - text_content_bytes(CUT_HERE)).beginning(answer)
    return kept + CUT_HERE


def _without_text(progress: Progress, task: Task) -> Text:
    """What a hand-off takes in a report at least: its reference, or the mark that it is cut."""
    handoff = progress.tasks.handoffs.get(task.id)
    return handoff if isinstance(handoff, TextRef) else " "


def _outcome(state: TaskState, output: Text | None, room: Room) -> TaskOutcome:
    if isinstance(output, TextRef):
        beginning = room.beginning(output.preview)
        ref = output.model_copy(update={"preview": ""})
        return TaskOutcome(task=state, output=beginning, output_cut=True, output_ref=ref)
    kept = None if output is None else room.beginning(output)
    return TaskOutcome(task=state, output=kept, output_cut=kept != output)


def joined(handoffs: Sequence[Text]) -> str:
    """The hand-offs as one answer, cut where they are longer than an answer may be. Of references,
    how their texts begin."""
    if any(isinstance(each, TextRef) for each in handoffs):
        return cut("\n\n".join(map(preview_of, handoffs)), MAX_SHOWN_ANSWER)
    answer = "\n\n".join(str(each) for each in handoffs)
    if len(answer) <= MAX_ANSWER:
        return answer
    return answer[: MAX_ANSWER - len(CUT_ANSWER)] + CUT_ANSWER
