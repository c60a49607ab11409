"""Money is integer micro-USD inside; at the edge it is a JSON number with at most six places."""

from decimal import Decimal, InvalidOperation

MICRO = 1_000_000
MAX_MICRO = 10**15 - 1
"""15 digits: up to here a micro-amount prints exactly as a JSON number, whoever reads it."""


def parse_usd(value: object, field: str) -> int:
    """Micro-USD of a JSON number or decimal string. Raises ValueError that names the field."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ValueError(f"{field} must be an amount in USD, such as 5.00; got {value!r}")
    try:
        micro = Decimal(value) * MICRO
    except InvalidOperation:
        raise ValueError(f"{field} must be an amount in USD, such as 5.00; got {value!r}") from None
    if not micro.is_finite() or micro < 0 or micro > MAX_MICRO:
        raise ValueError(f"{field} must lie between 0 and {usd_text(MAX_MICRO)}; got {value}")
    if micro != int(micro):
        raise ValueError(f"{field} has more than six decimal places: {value}; round it")
    return int(micro)


def usd(micro: int) -> float:
    """The amount as it goes into JSON. A correctly rounded quotient, so it prints exactly."""
    return micro / MICRO


def usd_text(micro: int) -> str:
    """For messages: plain digits, never an exponent."""
    whole, rest = divmod(abs(micro), MICRO)
    return f"{'-' if micro < 0 else ''}{whole}.{rest:06d}"
