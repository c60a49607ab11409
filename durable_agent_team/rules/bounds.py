"""The most that one call can cost, and the bytes and tokens that bound it.

`estimate`, the shares of a team's budget, the check of a model's context and the money that the
workflow shows as reserved all use these functions. The gateway has a bound of its own, from the
body that it receives, and that one decides.
"""

from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any

from durable_agent_team.contracts.base import round_up
from durable_agent_team.contracts.call import CallRequest, Source
from durable_agent_team.contracts.model_catalog import ModelPrice
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.text_ref import bytes_of

BYTES_PER_TOKEN = 4
"""A rule of thumb for European text, where tokens are estimated and not bounded."""

MAX_PROMPT_BYTES = 1_500_000
"""An activity's argument above 2 MB would fail the run, so a larger prompt is not sent."""

MESSAGE_ALLOWANCE_TOKENS = 64
"""For each message: role names and the separators of a chat template."""

MESSAGES_PER_CALL = 6
FENCE_BYTES = 64
"""Around each source of a prompt: two tags, without its name, and the line breaks."""
FINDINGS_SHAPES = 5
SCHEMA_BYTES = 250
"""For one JSON Schema shape, without the texts in it."""
MAX_UTF8 = 4
"""Bytes of a character."""
MILLION = Decimal(1_000_000)


def text_bytes(call: CallRequest) -> int:
    """UTF-8 bytes of everything in a call that can become tokens of its prompt."""
    if call.conversation is not None:
        return call.conversation.prompt_bytes
    texts = [call.system, call.goal or "", call.ask]
    stored = 0
    if call.rejected:
        texts += [call.rejected.answer, *call.rejected.reasons]
        stored = bytes_of(call.rejected.answer_ref or "")
    return stored + prompt_bytes(texts, call.sources, call.output)


def prompt_bytes(
    texts: Iterable[str], sources: Sequence[Source] = (), output: str | dict[str, Any] = "text"
) -> int:
    """UTF-8 bytes of a prompt: texts, sources with their names and fences, the output's schema."""
    parts = [*texts, *(source.name for source in sources)]
    if not isinstance(output, str):
        parts.append(str(output))
    found = findings_bytes(sources) if output == "findings" else 0
    read = sum(source_bytes(source) + FENCE_BYTES for source in sources)
    return sum(len(text.encode()) for text in parts) + read + found


def source_bytes(source: Source) -> int:
    """UTF-8 bytes of a source's text, at most: of a part, its characters are what is known."""
    size = bytes_of(source.whole)
    return size if source.first is None else min(size, source.first * MAX_UTF8)


def handoff_bytes(max_tokens: int, task: str = "") -> int:
    """Bytes of a task's answer in a prompt that reads it, if it is as long as its agent may
    answer."""
    return len(task) + max_tokens * BYTES_PER_TOKEN + FENCE_BYTES


def findings_bytes(sources: Iterable[Source]) -> int:
    """What the choice of quotes adds to a prompt: the sources' sentences once more, in up to
    `FINDINGS_SHAPES` shapes of JSON Schema for each source."""
    return SCHEMA_BYTES + sum(
        source_bytes(each) + FINDINGS_SHAPES * (SCHEMA_BYTES + len(each.name.encode()))
        for each in sources
    )


def estimated_tokens(prompt_bytes: int) -> int:
    """About how many tokens a prompt of that size has: for the model's context, not for money."""
    return -(-prompt_bytes // BYTES_PER_TOKEN)


def worst_case_usd(prompt_bytes: int, max_tokens: int, price: ModelPrice | None) -> Decimal | None:
    """The most that one call can cost; None where the price is unknown.

    A token is at least one byte, so the bytes of a prompt bound its tokens; each counts at the
    highest price that it can have.
    """
    if price is None:
        return None
    prompt_tokens = prompt_bytes + MESSAGE_ALLOWANCE_TOKENS * MESSAGES_PER_CALL
    most = price.most_usd(prompt_tokens, max_tokens)
    return None if most is None else round_up(most)


def affordable_tokens(max_tokens: int, price: ModelPrice | None, failure: Failure) -> int | None:
    """The `max_tokens` with which a refused call would fit its account; None where that is not
    known, or not positive."""
    required, remaining = failure.required_usd, failure.remaining_usd
    a_million = price.highest_output_usd if price is not None else None
    if not a_million or required is None or remaining is None:
        return None
    excess = (required - remaining) * MILLION / a_million
    fits = max_tokens - int(excess.to_integral_value(rounding=ROUND_CEILING))
    return fits if 0 < fits < max_tokens else None
