"""A run as the Temporal UI shows it while it works, in Markdown.

Written from the state itself and not from the models of the queries, because it is rendered in
every workflow task.
"""

from itertools import islice

from durable_agent_team.contracts.run import Waiting
from durable_agent_team.rules.safe_text import markdown_code, markdown_line
from workflows.state.agent_account import AgentAccount
from workflows.state.call_trouble import CallTrouble
from workflows.state.progress import Progress
from workflows.state.unpaid import one_for_each_cause

MAX_ROWS = 50
MAX_TROUBLED = 5


def details(progress: Progress) -> str:
    """Status, what waits for a person, and a table of the agents and their money."""
    accounts = list(progress.accounts.values())
    spent = sum(account.spent_usd for account in accounts)
    budget = sum(account.budget_usd for account in accounts)
    lines = [
        f"**{progress.status_now}** · {progress.tasks_done} of {len(progress.tasks.schedule.tasks)}"
        f" tasks done · {spent:f} of {budget:f} USD{_until(progress)}",
        "",
    ]
    given_up = sum(account.possibly_billed_calls for account in accounts)
    if given_up:
        most = sum(account.possibly_billed_usd for account in accounts)
        lines.append(
            f"- may have been billed to the operator: {given_up} calls, at most {most:f} USD"
        )
    waiting = one_for_each_cause(progress.waiting.values())
    lines += [_waiting(each) for each in waiting[:MAX_ROWS]]
    if len(waiting) > MAX_ROWS:
        lines.append(f"- and {len(waiting) - MAX_ROWS} more wait for you")
    lines += [_troubled(*each) for each in islice(progress.troubled.items(), MAX_TROUBLED)]
    if len(progress.troubled) > MAX_TROUBLED:
        lines.append(f"- and {len(progress.troubled) - MAX_TROUBLED} more are attempted again")
    if progress.failure:
        lines.append(f"- {progress.failure.type}: {markdown_line(progress.failure.message[:500])}")
    lines += [
        "",
        "| agent | state | spent | budget | calls |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    lines += [_row(account) for account in accounts[:MAX_ROWS]]
    if len(accounts) > MAX_ROWS:
        lines.append(f"| and {len(accounts) - MAX_ROWS} more | | | | |")
    return "\n".join(lines)


def _waiting(waiting: Waiting) -> str:
    calls = f"{waiting.calls} calls: " if waiting.calls else ""
    return (
        f"- waits for you: {calls}{markdown_line(waiting.reason)} {markdown_code(waiting.command)}"
    )


def _troubled(subject: str, trouble: CallTrouble) -> str:
    when = f"next at {trouble.next_at:%H:%M:%S} UTC" if trouble.next_at else "now"
    return (
        f"- {subject}: attempt {trouble.attempts + 1} {when}, after {trouble.type}:"
        f" {markdown_line(trouble.message)}"
    )


def _until(progress: Progress) -> str:
    return f" · until {progress.deadline:%Y-%m-%d %H:%M} UTC" if progress.deadline else ""


def _row(account: AgentAccount) -> str:
    return (
        f"| {account.agent} | {account.status} | {account.spent_usd:f} | {account.budget_usd:f}"
        f" | {account.calls} |"
    )
