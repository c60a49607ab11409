"""The message that a command sends to a run: its fields, parsed from the command line."""

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.rules.pydantic_messages import explain_error, shown

if TYPE_CHECKING:
    from durable_agent_team.contracts.base import Message

M = TypeVar("M", bound="Message")


def parse_amount(text: str, name: str = "USD") -> Decimal:
    """Accepts plain digits only: `1_0`, `1e3` and `nan`, which Python takes, are likely slips."""
    if not re.fullmatch(r"\$?[+-]?[0-9]{1,30}(\.[0-9]{0,30})?", text):
        problem = f"{name} = {shown(text, 60)}: this is not an amount"
        raise CommandError(ExitCode.INVALID_INPUT, f"{problem} (write it like 0.25)")
    return Decimal(text.removeprefix("$"))


def build_message(kind: type[M], names: dict[str, str], **values: Any) -> M:
    """The validated message. Raises `CommandError` with a line for each invalid field, under the
    name that `names` gives it on the command line."""
    from pydantic import ValidationError

    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = [_problem(each, names, values) for each in error.errors()]
        raise CommandError(ExitCode.INVALID_INPUT, "\n".join(problems)) from error


def _problem(error: Any, names: dict[str, str], values: dict[str, Any]) -> str:
    what, remedy = explain_error(error)
    if not error["loc"]:
        return what
    field = str(error["loc"][0])
    value = values[field]
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    problem = f"{names[field]} = {shown(text, 60)}: {what}"
    return f"{problem} ({remedy})" if remedy else problem
