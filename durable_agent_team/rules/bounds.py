"""The most that one call can cost, and the tokens and bytes that bound it."""

from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal

from durable_agent_team.contracts.base import round_up
from durable_agent_team.contracts.call import CallRequest, Source
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.spend import ModelPrice

MESSAGE_ALLOWANCE_TOKENS = 64
"""For each message: role names and the separators of a chat template."""

MESSAGES_PER_CALL = 6
FINDINGS_SHAPES = 5
SCHEMA_BYTES = 250
"""Of a shape beside the words in it."""
MILLION = Decimal(1_000_000)


def text_bytes(call: CallRequest) -> int:
    """UTF-8 bytes of everything in a call that can become tokens of its prompt."""
    texts = [call.system, call.goal or "", call.ask]
    texts += [text for source in call.sources for text in (source.name, source.text)]
    if call.rejected:
        texts += [call.rejected.answer, *call.rejected.reasons]
    if not isinstance(call.output, str):
        texts.append(str(call.output))
    found = findings_bytes(call.sources) if call.output == "findings" else 0
    return sum(len(text.encode()) for text in texts) + found


def findings_bytes(sources: Iterable[Source]) -> int:
    """What the choice of quotes adds to a prompt: the sources' sentences once more, in up to
    `FINDINGS_SHAPES` shapes of JSON Schema for each source."""
    return SCHEMA_BYTES + sum(
        len(each.text.encode()) + FINDINGS_SHAPES * (SCHEMA_BYTES + len(each.name.encode()))
        for each in sources
    )


def worst_case_usd(prompt_bytes: int, max_tokens: int, price: ModelPrice | None) -> Decimal | None:
    """The most that one call can cost; None where the price is unknown.

    A token is at least one byte, so the bytes of a prompt bound its tokens.
    """
    if price is None or price.input_usd is None or price.output_usd is None:
        return None
    prompt_tokens = prompt_bytes + MESSAGE_ALLOWANCE_TOKENS * MESSAGES_PER_CALL
    cost = (prompt_tokens * price.input_usd + max_tokens * price.output_usd) / MILLION
    return round_up(cost)


def affordable_tokens(max_tokens: int, price: ModelPrice | None, failure: Failure) -> int | None:
    """How many tokens of answer a refused call could ask for instead; None where nobody knows."""
    required, remaining = failure.required_usd, failure.remaining_usd
    if price is None or not price.output_usd or required is None or remaining is None:
        return None
    excess = (required - remaining) * MILLION / price.output_usd
    fits = max_tokens - int(excess.to_integral_value(rounding=ROUND_CEILING))
    return fits if 0 < fits < max_tokens else None
