"""What a person tells a run: money, tasks, an answer, a pause, an end."""

from durable_agent_team.cli.commands.telling import amount_of, answered, order_of, tell
from durable_agent_team.cli.output import usd
from durable_agent_team.contracts.control import (
    AdjustBudget,
    Approve,
    BudgetAdjusted,
    Cancel,
    Empty,
    TaskCommand,
    Transfer,
)


def cancel(run: str, reason: str, json: bool) -> int:
    """Sends the signal; the run reports by itself."""
    order = order_of(Cancel, {"reason": "--reason"}, reason=reason)
    tell(run, lambda handle: handle.cancel(order.reason))
    told = f"run {run} is asked to stop; `starter.py result {run}` shows its report"
    return answered(order, told, json)


def pause(run: str, json: bool) -> int:
    """Sends the signal; `state` shows that it has come through."""
    tell(run, lambda handle: handle.pause())
    told = f"run {run} starts no new call; `starter.py resume {run}` lets it go on"
    return answered(Empty(), told, json)


def resume(run: str, json: bool) -> int:
    """Sends the signal."""
    tell(run, lambda handle: handle.resume())
    return answered(Empty(), f"run {run} goes on", json)


def budget(run: str, agent: str, amount: str, json: bool) -> int:
    """Sets the limit and prints what it leaves."""
    names = {"agent": "AGENT", "budget_usd": "USD"}
    order = order_of(AdjustBudget, names, agent=agent, budget_usd=amount_of(amount))
    adjusted = tell(run, lambda handle: handle.adjust_budget(order.agent, order.budget_usd))
    return answered(adjusted, _limit(adjusted), json)


def transfer(run: str, source: str, target: str, amount: str, json: bool) -> int:
    """Moves the money and prints both limits."""
    names = {"from_agent": "FROM", "to_agent": "TO", "amount_usd": "USD"}
    order = order_of(
        Transfer, names, from_agent=source, to_agent=target, amount_usd=amount_of(amount)
    )
    moved = tell(
        run,
        lambda handle: handle.transfer(order.from_agent, order.to_agent, order.amount_usd),
    )
    return answered(moved, f"{_limit(moved.from_agent)}\n{_limit(moved.to_agent)}", json)


def retry(run: str, task: str, json: bool) -> int:
    """Wakes or restarts a task and prints what it does now."""
    order = order_of(TaskCommand, {"task": "TASK"}, task=task)
    answer = tell(run, lambda handle: handle.retry_task(order.task))
    told = "it is tried again" if answer.status in ("parked", "woken") else answer.status
    return answered(answer, f"{answer.task}: {told}", json)


def cancel_task(run: str, task: str, reason: str, json: bool) -> int:
    """Stops a task; one with a call in flight ends a moment later."""
    names = {"task": "TASK", "reason": "--reason"}
    order = order_of(TaskCommand, names, task=task, reason=reason)
    answer = tell(run, lambda handle: handle.cancel_task(order.task, order.reason))
    told = answer.status if answer.status == "cancelled" else "is being cancelled"
    return answered(answer, f"{answer.task}: {told}", json)


def approve(run: str, subject: str, approved: bool, note: str, json: bool) -> int:
    """Answers what waits."""
    names = {"subject": "SUBJECT", "note": "--note"}
    order = order_of(Approve, names, subject=subject, approved=approved, note=note)
    answer = tell(run, lambda handle: handle.approve(order.subject, order.approved, order.note))
    told = "approved; the run goes on" if approved else "refused; the run is cancelled"
    return answered(answer, f"{answer.subject}: {told}", json)


def _limit(adjusted: BudgetAdjusted) -> str:
    return (
        f"{adjusted.agent}: budget {usd(adjusted.budget_usd)} USD,"
        f" spent {usd(adjusted.spent_usd)}, left {usd(adjusted.remaining_usd)}"
    )
