"""The frozen base model of all messages, and amounts of money."""

from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Annotated, Any, ClassVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

MICRO = Decimal("0.000001")
MAX_USD = Decimal(10**12)
MAX_BUDGET_USD = Decimal(1_000_000)

Usd = Annotated[Decimal, Field(ge=0, le=MAX_USD, decimal_places=6)]
"""US dollars, to the micro-dollar. Never a float: JSON carries it as a string."""

SignedUsd = Annotated[Decimal, Field(ge=-MAX_USD, le=MAX_USD, decimal_places=6)]
"""A difference of two amounts."""

MAX_AMOUNT_TEXT = 60


def _plain_amount(value: Any) -> Any:
    """Python reads `1_0` and digits of any script; an amount has those of ASCII alone."""
    if isinstance(value, str) and (
        "_" in value or not value.isascii() or len(value) > MAX_AMOUNT_TEXT
    ):
        raise PydanticCustomError("no_amount", "Input should be a valid decimal")
    return value


BudgetUsd = Annotated[
    Decimal, Field(gt=0, le=MAX_BUDGET_USD, decimal_places=6), BeforeValidator(_plain_amount)
]
"""A limit: above zero."""


class Message(BaseModel):
    """Base of every message: immutable, and an unknown key is an error."""

    stays_inline: ClassVar[bool] = False
    """It stays in Temporal's history, readable there, however large it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Written(Message):
    """Base of what people write. A boolean is no number: `yes` in a team file would be 1."""

    @model_validator(mode="before")
    @classmethod
    def _booleans_are_no_numbers(cls, data: Any) -> Any:
        """As the text that it is written as, a boolean is refused by its field, with its place."""
        if not isinstance(data, dict):
            return data
        wrong = {
            name: str(value).lower()
            for name, value in data.items()
            if isinstance(value, bool)
            and name in cls.model_fields
            and _takes_numbers(cls.model_fields[name].annotation)
        }
        return {**data, **wrong} if wrong else data


def _takes_numbers(annotation: Any) -> bool:
    kinds = get_args(annotation)
    return any(map(_takes_numbers, kinds)) if kinds else annotation in (int, float)


def round_up(amount: Decimal) -> Decimal:
    """To the next micro-dollar: a charge is never rounded in the payer's favour."""
    return amount.quantize(MICRO, rounding=ROUND_CEILING)


def decimal_of(value: Any) -> Decimal | None:
    """An amount in JSON (number or string), or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and number >= 0 else None


def signed_usd_of(value: Any) -> Decimal:
    """A difference in JSON, to the micro-dollar; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return Decimal(0)
    try:
        number = Decimal(value)
    except InvalidOperation:
        return Decimal(0)
    if not number.is_finite() or abs(number) > MAX_USD:
        return Decimal(0)
    return number.quantize(MICRO, rounding=ROUND_FLOOR)


MAX_COUNT = 10**9


def count_of(value: Any) -> int:
    """A count in JSON or in a header; 0 for anything else."""
    number = decimal_of(value)
    return int(number) if number is not None and number <= MAX_COUNT else 0


def usd_of(value: Any) -> Decimal:
    """An amount in JSON or in a header, to the micro-dollar; 0 for anything else."""
    number = decimal_of(value)
    return round_up(min(number, MAX_USD)) if number is not None else Decimal(0)


def exact_time(at: datetime) -> str:
    """As JSON has it, to the microsecond.

    >>> exact_time(datetime(2030, 1, 2, 3, 4, 5, 67, tzinfo=UTC))
    '2030-01-02T03:04:05.000067Z'
    """
    return at.isoformat().replace("+00:00", "Z")
