"""How many tokens a repair may have after an answer that was cut off.

The limit is doubled, again and again, and four times as high where all of it went into thinking: a
model that thinks needs room for that first. It stays within what the model can answer, what its
context leaves, and what the account can pay.
"""

from collections.abc import Iterable
from decimal import ROUND_FLOOR, Decimal

from durable_agent_team.contracts.model_catalog import ModelPrice
from durable_agent_team.contracts.team import MAX_TOKENS
from durable_agent_team.rules.bounds import MILLION, worst_case_usd

GROWTH = 2
GROWTH_FOR_THINKING = 4
MAX_GROWTH = MAX_TOKENS


def next_growth(growth: int, *, has_answer: bool) -> int:
    """The factor for the next repair, after an answer that was cut off."""
    return min(growth * (GROWTH if has_answer else GROWTH_FOR_THINKING), MAX_GROWTH)


def raised_tokens(own: int, growth: int, bounds: Iterable[int | None]) -> int:
    """`own` is the agent's `max_tokens`, which is never lowered; `bounds` that are None are not
    known."""
    known = [each for each in bounds if each is not None]
    return max(own, min(own * growth, MAX_TOKENS, *known))


def payable_tokens(available_usd: Decimal, prompt_bytes: int, price: ModelPrice | None) -> int:
    """The longest answer that the account can pay for; MAX_TOKENS where the price is unknown."""
    prompt_usd = worst_case_usd(prompt_bytes, 0, price)
    if price is None or prompt_usd is None or not price.output_usd:
        return MAX_TOKENS
    tokens = (available_usd - prompt_usd) * MILLION / price.output_usd
    return int(max(tokens, Decimal(0)).to_integral_value(rounding=ROUND_FLOOR))
