"""Amounts: integer micro-USD inside the gateway, JSON numbers with up to six places outside."""

import re
from decimal import Decimal, InvalidOperation
from typing import TypeGuard

from durable_agent_team.gateway.api_error import shown

PLACES = 6
MICRO = 1_000_000
MAX_MICRO = 10**15 - 1
"""15 digits: up to here every JSON parser reads the amount exactly."""
MAX_USD = Decimal(MAX_MICRO) / MICRO
MAX_LENGTH = 100
NUMBER = re.compile(r"-?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,9})?", re.ASCII)


def is_number(value: object) -> TypeGuard[int | str | Decimal]:
    """An int or Decimal, or a string of ASCII digits as JSON writes numbers: not `1_0`, not `٣`."""
    if isinstance(value, str):
        return len(value) <= MAX_LENGTH and NUMBER.fullmatch(value) is not None
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def parse_usd(value: object, field: str) -> int:
    """Micro-USD of a JSON number or decimal string. Raises a ValueError that names the field."""
    if not is_number(value):
        raise ValueError(f"{field} must be an amount in USD, such as 5.00; got {shown(value)}")
    try:
        amount = Decimal(value)
    except InvalidOperation:  # its exponent is too large for a Decimal
        amount = Decimal("Infinity")
    if not amount.is_finite() or not 0 <= amount <= MAX_USD:
        raise ValueError(f"{field} must be between 0 and {usd_text(MAX_MICRO)}; got {shown(value)}")
    # Compared digit by digit, since arithmetic with Decimal rounds to 28 digits.
    _, digits, exponent = amount.as_tuple()
    if any(digits[max(0, len(digits) + int(exponent) + PLACES) :]):
        raise ValueError(f"{field} has more than six decimal places: {shown(value)}; round it")
    return int(amount * MICRO)


def usd(micro: int) -> float:
    """The amount for JSON. The quotient is correctly rounded, so it prints exactly."""
    return micro / MICRO


def usd_text(micro: int) -> str:
    """The amount for messages: plain digits, no exponent."""
    whole, rest = divmod(abs(micro), MICRO)
    return f"{'-' if micro < 0 else ''}{whole}.{rest:06d}"
