"""Old results of tools make room: what is removed from a conversation, and what stands for it.

A conversation that has grown to half of its model's context loses its oldest results until it is
down to a quarter: seldom, and then many at once, since every removal changes the prompt's
beginning, which providers keep in a cache and the worker knows by its hash.
"""

from collections.abc import Sequence

from durable_agent_team.contracts.conversation import Entry, ToolMessage
from durable_agent_team.contracts.text_ref import bytes_of, json_bytes_of
from durable_agent_team.rules.bounds import BYTES_PER_TOKEN, MAX_PROMPT_BYTES

KEPT_RESULTS = 3
"""The last ones, which stay."""
KEPT_AT_LEAST = 1
"""How many of them stay where the model's provider says that its context is exceeded."""


def room_bytes(context_tokens: int | None) -> int:
    """Half of the context, and of what one request may carry."""
    most = MAX_PROMPT_BYTES // 2
    return most if context_tokens is None else min(context_tokens * BYTES_PER_TOKEN // 2, most)


def in_place_of(result: ToolMessage) -> str:
    return f"[removed: {bytes_of(result.whole)} bytes of {result.name}]"


def compacted(
    entries: Sequence[Entry], size: int, room: int, kept_results: int = KEPT_RESULTS
) -> list[Entry]:
    """The entries of a prompt of `size` bytes; as they are, if that is within `room`. The last
    `kept_results` results stay."""
    kept = list(entries)
    if size <= room:
        return kept
    target = room // 2
    removable = _results(kept)[:-kept_results]
    for at, number in removable:
        if size <= target:
            break
        result = kept[at].results[number]
        if result.removed:
            continue
        text = in_place_of(result)
        placed = ToolMessage(id=result.id, name=result.name, text=text, removed=True)
        saved = json_bytes_of(result.whole) - json_bytes_of(text)
        if saved <= 0:  # it is as short
            continue
        kept[at] = _replaced(kept[at], number, placed)
        size -= saved
    return kept


def _results(entries: Sequence[Entry]) -> list[tuple[int, int]]:
    return [
        (at, number) for at, entry in enumerate(entries) for number in range(len(entry.results))
    ]


def _replaced(entry: Entry, number: int, placed: ToolMessage) -> Entry:
    results = (*entry.results[:number], placed, *entry.results[number + 1 :])
    return Entry(results=results)
