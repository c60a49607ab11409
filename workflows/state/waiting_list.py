"""What waits for a person, as `state` and the UI show it, and which agents are parked."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from durable_agent_team.contracts.base import exact_time
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.names import STARTER
from durable_agent_team.contracts.run import MAX_COMMAND, Waiting
from durable_agent_team.contracts.spend import AgentStatus
from durable_agent_team.rules.safe_text import shell_command, shell_word
from workflows.state.agent_account import AgentAccount
from workflows.state.progress import Progress
from workflows.state.unpaid import one_for_each_cause

ZERO = Decimal(0)


def waiting_list(progress: Progress, shown: int) -> list[Waiting]:
    """All that waits; the first ones, which are `shown`, with their whole commands.

    Where several calls wait for the money of one agent, each command raises its limit for all of
    them: raised for one, the others would be refused again.
    """
    listed = one_for_each_cause(progress.waiting.values())
    commands = _commands(progress)
    if not commands:
        return listed
    return [_with_command(each, commands) for each in listed[:shown]] + listed[shown:]


def run_command(command: str, run: str, *arguments: str, last: Sequence[str] = ()) -> str:
    """A command of the starter for this run. An id that gets too long where it is quoted, as one of
    a thousand control characters does, is left to the reader as a variable."""
    whole = shell_command(STARTER, command, run, *arguments, last=last)
    if len(whole) <= MAX_COMMAND:
        return whole
    return " ".join([STARTER, command, '"$RUN"', *map(shell_word, arguments), *last])


def budget_command(run: str, agent: str, budget_usd: Decimal) -> str:
    """The command that gives an agent this limit, unless it has a higher one by then."""
    return run_command("budget --raise-only", run, agent, f"{budget_usd:f}")


def answering_command(command: str, run: str, *arguments: str, since: datetime) -> str:
    """A command for what has waited since then, and for nothing that waits later."""
    only = ["--since", exact_time(since)]
    return run_command(command, run, *arguments, last=only)


def statuses(progress: Progress) -> Mapping[str, AgentStatus]:
    """The status of each agent: parked while something of it waits, unless it works as well."""
    waiting = {each.agent for each in progress.waiting.values()}
    return {
        name: AgentStatus.PARKED
        if account.status is AgentStatus.IDLE and name in waiting
        else account.status
        for name, account in progress.accounts.items()
    }


def _commands(progress: Progress) -> dict[str, str]:
    """By agent, where more than one of its calls waits for its money."""
    found: dict[str, list[Waiting]] = {}
    for each in progress.waiting.values():
        if _waits_for_money(each) and each.agent in progress.accounts:
            found.setdefault(each.agent, []).append(each)
    most = _most_more(progress) if found else None
    return {
        agent: budget_command(
            progress.workflow_id, agent, _enough(progress.accounts[agent], together, most)
        )
        for agent, together in found.items()
        if len(together) > 1
    }


def _most_more(progress: Progress) -> Decimal | None:
    """By how much limits can be raised, where the team's bounds their sum."""
    limit = progress.request.team.budget_usd if progress.request is not None else None
    if limit is None:
        return None
    given = sum((each.budget_usd for each in progress.accounts.values()), ZERO)
    return max(limit - given, ZERO)


def _enough(
    account: AgentAccount, together: Collection[Waiting], most_more: Decimal | None
) -> Decimal:
    """The limit with which all of these calls can be reserved at once; at most what the team's
    limit leaves for it, where that is enough for one."""
    remaining = min(each.remaining_usd or ZERO for each in together)
    used = max(account.budget_usd - remaining, account.spent_usd)
    required = [each.required_usd or ZERO for each in together]
    enough = used + sum(required, ZERO)
    if most_more is not None:
        enough = min(enough, max(account.budget_usd + most_more, used + max(required)))
    return max(enough, account.budget_usd)


def _waits_for_money(waiting: Waiting) -> bool:
    return waiting.type == ErrorType.BUDGET_EXHAUSTED


def _with_command(waiting: Waiting, commands: Mapping[str, str]) -> Waiting:
    command = commands.get(waiting.agent or "") if _waits_for_money(waiting) else None
    return waiting if command is None else waiting.model_copy(update={"command": command})
