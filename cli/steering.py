"""What a person tells a run: money, tasks, an answer, a pause, an end."""

import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import ValidationError
from temporalio.client import Client

from cli.exits import Code, CommandError
from cli.output import say, say_json, usd
from cli.session import with_client
from contracts.control import (
    AdjustBudget,
    Approve,
    BudgetAdjusted,
    Cancel,
    Empty,
    TaskOrder,
    Transfer,
)
from contracts.model import Message
from runtime.plain_words import in_plain_words, shown
from runtime.runs import RunHandle, get_run

Order = TypeVar("Order", bound=Message)
Answer = TypeVar("Answer")


def cancel(run: str, reason: str, json: bool) -> int:
    """Sends the signal; the run reports by itself."""
    order = _order(Cancel, {"reason": "--reason"}, reason=reason)
    _tell(run, lambda handle: handle.cancel(order.reason))
    told = f"run {run} is asked to stop; `starter.py result {run}` shows its report"
    return _answered(order, told, json)


def pause(run: str, json: bool) -> int:
    """Sends the signal; `state` shows that it has come through."""
    _tell(run, lambda handle: handle.pause())
    told = f"run {run} starts no new call; `starter.py resume {run}` lets it go on"
    return _answered(Empty(), told, json)


def resume(run: str, json: bool) -> int:
    """Sends the signal."""
    _tell(run, lambda handle: handle.resume())
    return _answered(Empty(), f"run {run} goes on", json)


def budget(run: str, agent: str, amount: str, json: bool) -> int:
    """Sets the limit and prints what it leaves."""
    names = {"agent": "AGENT", "budget_usd": "USD"}
    order = _order(AdjustBudget, names, agent=agent, budget_usd=_amount(amount))
    adjusted = _tell(run, lambda handle: handle.adjust_budget(order.agent, order.budget_usd))
    return _answered(adjusted, _limit(adjusted), json)


def transfer(run: str, source: str, target: str, amount: str, json: bool) -> int:
    """Moves the money and prints both limits."""
    names = {"from_agent": "FROM", "to_agent": "TO", "amount_usd": "USD"}
    order = _order(Transfer, names, from_agent=source, to_agent=target, amount_usd=_amount(amount))
    moved = _tell(
        run,
        lambda handle: handle.transfer(order.from_agent, order.to_agent, order.amount_usd),
    )
    return _answered(moved, f"{_limit(moved.from_agent)}\n{_limit(moved.to_agent)}", json)


def retry(run: str, task: str, json: bool) -> int:
    """Wakes or restarts a task and prints what it does now."""
    order = _order(TaskOrder, {"task": "TASK"}, task=task)
    answer = _tell(run, lambda handle: handle.retry_task(order.task))
    told = "it is tried again" if answer.status in ("parked", "woken") else answer.status
    return _answered(answer, f"{answer.task}: {told}", json)


def cancel_task(run: str, task: str, reason: str, json: bool) -> int:
    """Stops a task; one with a call in flight ends a moment later."""
    names = {"task": "TASK", "reason": "--reason"}
    order = _order(TaskOrder, names, task=task, reason=reason)
    answer = _tell(run, lambda handle: handle.cancel_task(order.task, order.reason))
    told = answer.status if answer.status == "cancelled" else "is being cancelled"
    return _answered(answer, f"{answer.task}: {told}", json)


def approve(run: str, subject: str, approved: bool, note: str, json: bool) -> int:
    """Answers what waits."""
    names = {"subject": "SUBJECT", "note": "--note"}
    order = _order(Approve, names, subject=subject, approved=approved, note=note)
    answer = _tell(run, lambda handle: handle.approve(order.subject, order.approved, order.note))
    told = "approved; the run goes on" if approved else "refused; the run is cancelled"
    return _answered(answer, f"{answer.subject}: {told}", json)


def _tell(run: str, word: Callable[[RunHandle], Awaitable[Answer]]) -> Answer:
    async def work(client: Client) -> Answer:
        return await word(get_run(client, run))

    return with_client(work)


def _answered(answer: Message, text: str, json: bool) -> int:
    if json:
        say_json(answer)
    else:
        say(text)
    return Code.DONE


def _limit(adjusted: BudgetAdjusted) -> str:
    return (
        f"{adjusted.agent}: budget {usd(adjusted.budget_usd)} USD,"
        f" spent {usd(adjusted.spent_usd)}, left {usd(adjusted.remaining_usd)}"
    )


def _amount(text: str) -> Decimal:
    """Plain digits: what Python would also take (`1_0`, `1e3`, `nan`) is more likely a slip."""
    if not re.fullmatch(r"\$?[+-]?[0-9]{1,30}(\.[0-9]{0,30})?", text):
        told = f"USD = {shown(text, 60)}: this is no amount"
        raise CommandError(Code.INPUT_WRONG, f"{told} (write it like 0.25)")
    return Decimal(text.removeprefix("$"))


def _order(kind: type[Order], names: dict[str, str], **values: Any) -> Order:
    """The message, or the command's end: each wrong field under its name on the command line."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        lines = []
        for each in error.errors():
            field = str(each["loc"][0])
            what, remedy = in_plain_words(each)
            given = values[field]
            text = f"{given:f}" if isinstance(given, Decimal) else str(given)
            told = f"{names[field]} = {shown(text, 60)}: {what}"
            lines.append(f"{told} ({remedy})" if remedy else told)
        raise CommandError(Code.INPUT_WRONG, "\n".join(lines)) from error
