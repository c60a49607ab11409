"""How a command tells a run something: its words checked, sent, and the answer printed."""

import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import ValidationError
from temporalio.client import Client

from durable_agent_team.cli.exit_codes import Code, CommandError
from durable_agent_team.cli.output import say, say_json
from durable_agent_team.cli.session import with_client
from durable_agent_team.client.runs import RunHandle, get_run
from durable_agent_team.contracts.base import Message
from durable_agent_team.rules.pydantic_messages import explain_error, shown

Order = TypeVar("Order", bound=Message)
Answer = TypeVar("Answer")


def tell(run: str, word: Callable[[RunHandle], Awaitable[Answer]]) -> Answer:
    """Says it to the run; what it answers."""

    async def work(client: Client) -> Answer:
        return await word(get_run(client, run))

    return with_client(work)


def answered(answer: Message, text: str, json: bool) -> int:
    """Prints the answer, for people or for programs."""
    if json:
        say_json(answer)
    else:
        say(text)
    return Code.DONE


def amount_of(text: str, name: str = "USD") -> Decimal:
    """Plain digits: what Python would also take (`1_0`, `1e3`, `nan`) is more likely a slip."""
    if not re.fullmatch(r"\$?[+-]?[0-9]{1,30}(\.[0-9]{0,30})?", text):
        told = f"{name} = {shown(text, 60)}: this is no amount"
        raise CommandError(Code.INPUT_WRONG, f"{told} (write it like 0.25)")
    return Decimal(text.removeprefix("$"))


def order_of(kind: type[Order], names: dict[str, str], **values: Any) -> Order:
    """The message, or the command's end: each wrong field under its name on the command line."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        lines = []
        for each in error.errors():
            what, remedy = explain_error(each)
            if not each["loc"]:
                lines.append(what)
                continue
            field = str(each["loc"][0])
            given = values[field]
            text = f"{given:f}" if isinstance(given, Decimal) else str(given)
            told = f"{names[field]} = {shown(text, 60)}: {what}"
            lines.append(f"{told} ({remedy})" if remedy else told)
        raise CommandError(Code.INPUT_WRONG, "\n".join(lines)) from error
