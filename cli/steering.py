"""`cancel` and `budget`: what a person tells a run."""

from decimal import Decimal, InvalidOperation

from pydantic import ValidationError
from temporalio.client import Client

from cli.exits import Code, CommandError
from cli.output import say, say_json, usd
from cli.session import with_client
from contracts.control import AdjustBudget, BudgetAdjusted, Cancel
from runtime.runs import get_run


def cancel(run: str, reason: str, json: bool) -> int:
    """Sends the signal; the run reports by itself."""
    try:
        order = Cancel(reason=reason)
    except ValidationError as error:
        raise CommandError(
            Code.INPUT_WRONG, f"--reason: {len(reason)} characters, 1000 are the most"
        ) from error

    async def work(client: Client) -> None:
        await get_run(client, run).cancel(order.reason)

    with_client(work)
    if json:
        say_json(order)
    else:
        say(f"run {run} is asked to stop; `starter.py result {run}` shows its report")
    return Code.DONE


def budget(run: str, agent: str, amount: str, json: bool) -> int:
    """Sets the limit and prints what it leaves."""
    order = _order(agent, amount)

    async def work(client: Client) -> BudgetAdjusted:
        return await get_run(client, run).adjust_budget(order.agent, order.budget_usd)

    adjusted = with_client(work)
    if json:
        say_json(adjusted)
    else:
        say(
            f"{adjusted.agent}: budget {usd(adjusted.budget_usd)} USD,"
            f" spent {usd(adjusted.spent_usd)}, left {usd(adjusted.remaining_usd)}"
        )
    return Code.DONE


def _order(agent: str, amount: str) -> AdjustBudget:
    try:
        return AdjustBudget(agent=agent, budget_usd=Decimal(amount.removeprefix("$")))
    except InvalidOperation as error:
        raise CommandError(
            Code.INPUT_WRONG, f"USD = {amount}: no amount; write it like 0.25"
        ) from error
    except ValidationError as error:
        lines = []
        for each in error.errors():
            name = "AGENT" if each["loc"][0] == "agent" else "USD"
            value = agent if name == "AGENT" else amount
            lines.append(f"{name} = {value}: {each['msg']}")
        raise CommandError(Code.INPUT_WRONG, "; ".join(lines)) from error
