"""Amounts: integer micro-USD inside the gateway, JSON numbers with up to six places outside."""

from decimal import Decimal, InvalidOperation

MICRO = 1_000_000
MAX_MICRO = 10**15 - 1
"""15 digits: up to here every JSON parser reads the amount exactly."""


def parse_usd(value: object, field: str) -> int:
    """Micro-USD of a JSON number or decimal string. Raises a ValueError that names the field."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ValueError(f"{field} must be an amount in USD, such as 5.00; got {value!r}")
    try:
        micro = Decimal(value) * MICRO
    except InvalidOperation:
        raise ValueError(f"{field} must be an amount in USD, such as 5.00; got {value!r}") from None
    if not micro.is_finite() or micro < 0 or micro > MAX_MICRO:
        raise ValueError(f"{field} must be between 0 and {usd_text(MAX_MICRO)}; got {value}")
    if micro != int(micro):
        raise ValueError(f"{field} has more than six decimal places: {value}; round it")
    return int(micro)


def usd(micro: int) -> float:
    """The amount for JSON. The quotient is correctly rounded, so it prints exactly."""
    return micro / MICRO


def usd_text(micro: int) -> str:
    """The amount for messages: plain digits, no exponent."""
    whole, rest = divmod(abs(micro), MICRO)
    return f"{'-' if micro < 0 else ''}{whole}.{rest:06d}"
