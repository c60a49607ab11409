"""A run as the Temporal UI shows it while it works, in Markdown.

Written from the state itself and not from the models of the queries, because it is rendered in
every workflow task.
"""

import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice

from durable_agent_team.contracts.approvals import ApprovalKind, Decided
from durable_agent_team.contracts.base import exact_time
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import OpenToolCall, Waiting
from durable_agent_team.contracts.spend import AgentStatus
from durable_agent_team.contracts.team import Task
from durable_agent_team.contracts.text_ref import preview_of
from durable_agent_team.rules.counts import counted, more
from durable_agent_team.rules.encoded_size import cut_to_bytes
from durable_agent_team.rules.estimate import estimate
from durable_agent_team.rules.safe_text import markdown_code, readable_json
from durable_agent_team.rules.safe_text import markdown_line_for_temporal as markdown_line
from workflows.state.agent_account import AgentAccount
from workflows.state.call_trouble import CallTrouble
from workflows.state.open_approval import OpenApproval
from workflows.state.open_tools import IN_WORDS, open_tool_calls
from workflows.state.progress import Progress
from workflows.state.waiting_list import statuses, waiting_list

MAX_ROWS = 50
MAX_TROUBLED = 5
MAX_DECIDED = 10
MAX_BYTES = 20_000
"""As much as Temporal shows of a workflow's details."""
MORE = "- and more: the query `state` has all"
MAX_ESTIMATED = 200
"""Tasks of a plan that waits for approval; of a larger one the costs are left out, since this is
rendered in every workflow task."""
MAX_APPROVALS = 8
CONTENT_SHOWN = 4_000
"""Bytes of what is to be approved, as JSON."""
MORE_CONTENT = "and more: the query `approvals` has all of it"
ASK_SHOWN = 600
"""Characters of an ask in a plan that waits for approval."""


def details(progress: Progress) -> str:
    """Status, what waits for a person, the agents with their money, and in full what is to be
    approved, such as the plan.

    Lists, as the UI draws the columns of a table into each other.
    """
    accounts = list(progress.accounts.values())
    spent = sum(account.spent_usd for account in accounts)
    budget = sum(account.budget_usd for account in accounts)
    lines = [
        f"**{progress.status_now}** · {progress.tasks_done} of {len(progress.tasks.schedule.tasks)}"
        f" tasks done · {spent:.6f} of {budget:.6f} USD{_until(progress)}",
        "",
    ]
    given_up = sum(account.possibly_billed_calls for account in accounts)
    if given_up:
        most = sum(account.possibly_billed_usd for account in accounts)
        calls = counted(given_up, "call")
        lines.append(f"- may have been billed to the operator: {calls}, at most {most:.6f} USD")
    waiting = waiting_list(progress, MAX_ROWS)
    lines += [_waiting(each) for each in waiting[:MAX_ROWS]]
    if len(waiting) > MAX_ROWS:
        lines.append(f"- and {more(len(waiting) - MAX_ROWS, 'waits', 'wait')} for you")
    of_tools = list(islice(open_tool_calls(progress), MAX_ROWS + 1))
    lines += [_tool_call(each) for each in of_tools[:MAX_ROWS]]
    if len(of_tools) > MAX_ROWS:
        lines.append("- and more calls of tools")
    lines += [_troubled(*each) for each in islice(progress.troubled.items(), MAX_TROUBLED)]
    if len(progress.troubled) > MAX_TROUBLED:
        others = more(len(progress.troubled) - MAX_TROUBLED, "is", "are")
        lines.append(f"- and {others} attempted again")
    lines += [_decided(each) for each in progress.decided[-MAX_DECIDED:]]
    if progress.failure:
        lines.append(f"- {progress.failure.type}: {markdown_line(progress.failure.message[:500])}")
    lines += ["", "**Agents**", ""]
    status = statuses(progress)
    lines += [_agent(account, status[account.agent]) for account in accounts[:MAX_ROWS]]
    if len(accounts) > MAX_ROWS:
        lines.append(f"- and {more(len(accounts) - MAX_ROWS, 'agent', 'agents')}")
    if progress.for_approval is not None and progress.tasks.plan is not None:
        lines += ["", "**The plan that waits for approval**", ""]
        lines += _plan(progress, progress.tasks.plan)
        found = progress.approvals.get(progress.for_approval)
        lines += ["", _how_to_approve(progress.for_approval, found)] if found is not None else []
    asked = list(islice(_approvals(progress), MAX_APPROVALS))
    if asked:
        lines += ["", "**What waits for approval**", "", *asked]
    return _bounded(lines)


def _approvals(progress: Progress) -> Iterator[str]:
    """Each with its content, as code. The plan is shown by its tasks."""
    for subject, found in progress.approvals.items():
        is_open = found.answer is None and subject in progress.waiting
        if not is_open or found.kind is ApprovalKind.PLAN:
            continue
        amount = found.amount_usd
        parts = [f"**{markdown_line(subject)}**", markdown_line(found.what)]
        parts += [] if amount is None else [f"{amount:.6f} USD"]
        parts += ["after something from outside"] if found.tainted else []
        content = found.content
        text = content if isinstance(content, str) else preview_of(content)
        if found.kind is ApprovalKind.TOOL:
            text = readable_json(text)
        shown = cut_to_bytes(text, CONTENT_SHOWN)
        is_whole = isinstance(content, str) and shown == text
        rest = "" if is_whole else f"{MORE_CONTENT}\n"
        # The UI breaks the lines of code spans, and not those of blocks.
        lines = [markdown_code(line) for line in shown.split("\n") if line.strip()]
        yield "\n\n".join([" · ".join(parts), *lines, _how_to_approve(subject, found), ""]) + rest


def _how_to_approve(subject: str, found: OpenApproval) -> str:
    """For a person who has only the UI. It holds for what he reads here, which may be stale."""
    payload = json.dumps({"subject": subject, "approved": True, "sha256": found.sha256})
    how = f"To approve it here: Send an Update, `approve`, with {markdown_code(payload)}"
    return f"{how}; with false instead of true it is rejected"


def _plan(progress: Progress, plan: Plan) -> Iterator[str]:
    """What it can cost at most, with all repairs, as the query `state` and `estimate` say it."""
    request, most = progress.request, dict[str, Decimal | None]()
    if request is not None and len(plan.tasks) <= MAX_ESTIMATED:
        team = progress.team.model_copy(update={"tasks": plan.tasks, "result": plan.result})
        found = estimate(request.model_copy(update={"team": team}), progress.catalog)
        most = {each.subject: each.usd for each in found.calls}
        if found.most_usd is not None:
            yield f"- with the orchestrator's calls at most {found.most_usd:f} USD"
    for task in plan.tasks:
        yield _task(task, most.get(task.id))


def _bounded(lines: Iterable[str]) -> str:
    """As many lines as fit, and a note where that is not all."""
    kept: list[str] = []
    room = MAX_BYTES - len(MORE.encode()) - 1
    for line in lines:
        room -= len(line.encode()) + 1
        if room < 0:
            return "\n".join([*kept, MORE])
        kept.append(line)
    return "\n".join(kept)


def _task(task: Task, most_usd: Decimal | None) -> str:
    ask = task.ask if len(task.ask) <= ASK_SHOWN else f"{task.ask[:ASK_SHOWN]}…"
    cost = "" if most_usd is None else f", at most {most_usd:f} USD"
    parts = [f"- **{task.id}** ({task.agent}{cost}): {markdown_line(ask)}"]
    if task.depends_on:
        parts.append(f"after {markdown_line(', '.join(task.depends_on))}")
    if task.inputs:
        parts.append(f"reads {markdown_line(', '.join(task.inputs))}")
    if task.output != "text":
        parts.append(f"output {task.output if isinstance(task.output, str) else 'JSON'}")
    rules = task.checks.model_dump(mode="json", exclude_defaults=True)
    parts += [f"{name.replace('_', ' ')} {value}" for name, value in rules.items()]
    return " · ".join(parts)


def _waiting(waiting: Waiting) -> str:
    others = (waiting.calls or 1) - 1
    who = f"**{markdown_line(waiting.subject)}**"
    who += f" and {more(others, 'waits', 'wait')}" if others else " waits"
    until = f" until {waiting.until:%Y-%m-%d %H:%M:%S} UTC" if waiting.until else ""
    reason = markdown_line(waiting.reason)
    return f"- {who} for you{until}: {reason} {markdown_code(waiting.command)}{_here(waiting)}"


def _here(waiting: Waiting) -> str:
    """The same as its command, for a person who has only the UI. What waits for approval has that
    beside its content."""
    if waiting.type is None:
        return ""
    if waiting.type == ErrorType.UPSTREAM_OUT_OF_FUNDS:
        return ', or here: Send a Signal, `resume`, with `{"unpaid_only": true}`'
    if waiting.type == ErrorType.BUDGET_EXHAUSTED:
        usd = waiting.command.rpartition(" ")[2]
        update = "adjust_budget"
        payload = {"agent": waiting.agent, "budget_usd": usd, "raise_only": True}
    elif waiting.type == ErrorType.EFFECT_UNKNOWN:
        update, payload = "answer", {"task": waiting.subject, "decision": "DECISION"}
    elif waiting.type == ErrorType.INPUT_REQUIRED:
        update, payload = "answer", {"task": waiting.subject, "decision": "result"}
        payload["result"] = "YOUR ANSWER"
    elif ":" in waiting.subject:  # a call of a tool
        update, payload = "answer", {"task": waiting.subject, "decision": "retry"}
    else:
        update, payload = "retry_task", {"task": waiting.subject}
    if update != "adjust_budget":
        payload["since"] = exact_time(waiting.since)
    return f", or here: Send an Update, `{update}`, with {markdown_code(json.dumps(payload))}"


def _decided(decided: Decided) -> str:
    who = f" by {markdown_line(decided.by)}" if decided.by else ""
    note = f": {markdown_line(decided.note)}" if decided.note else ""
    subject = markdown_line(decided.subject)
    return f"- {subject}: {decided.decision}{who} at {decided.at:%Y-%m-%d %H:%M} UTC{note}"


def _tool_call(call: OpenToolCall) -> str:
    """Such as `clerk · refund · shop.tools:refund 2.1 · once · waits for approval`."""
    task, _, number = call.subject.rpartition(":")
    parts = [f"**{call.agent}**", task, f"{markdown_line(call.source)} {number}"]
    parts += [call.effects.value] if call.effects is not None else []
    parts.append(IN_WORDS[call.status])
    parts += ["after something from outside"] if call.tainted else []
    return f"- {' · '.join(parts)}"


def _troubled(subject: str, trouble: CallTrouble) -> str:
    when = f"next at {trouble.next_at:%H:%M:%S} UTC" if trouble.next_at else "now"
    return (
        f"- {subject}: attempt {trouble.attempts + 1} {when}, after {trouble.type}:"
        f" {markdown_line(trouble.message)}"
    )


def _until(progress: Progress) -> str:
    return f" · until {progress.deadline:%Y-%m-%d %H:%M} UTC" if progress.deadline else ""


def _agent(account: AgentAccount, status: AgentStatus) -> str:
    calls = counted(account.calls, "call")
    return (
        f"- **{account.agent}** · {status} · {account.spent_usd:.6f} of"
        f" {account.budget_usd:.6f} USD · {calls}"
    )
