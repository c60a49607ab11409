"""How large the prompt of a conversation is, in bytes of JSON: a bound, as a gateway counts it."""

from collections.abc import Iterable

from durable_agent_team.contracts.conversation import Entry
from durable_agent_team.contracts.text_ref import json_bytes_of
from durable_agent_team.contracts.tool_box import ToolBox
from durable_agent_team.rules.bounds import MESSAGE_ALLOWANCE_TOKENS, prompt_bytes
from durable_agent_team.rules.tools.conversation_hash import Head

MESSAGE_BYTES = 3 * MESSAGE_ALLOWANCE_TOKENS
"""Around the text of a message: its role, ids, fences, and what a chat template adds."""
INTRODUCTION_BYTES = 2_000
"""What an agent with tools is told in addition, with the schema of its answer once more."""


def head_bytes(head: Head, box: ToolBox, *, native: bool) -> int:
    """What stands before the first entry, and the definitions of the tools: twice for a model that
    reads them in its prompt, and fills a schema made of them."""
    texts = [head.system, head.goal or "", head.ask]
    if isinstance(head.output, dict):
        texts.append(str(head.output))
    definitions = json_bytes_of(box.definitions) * (1 if native else 3)
    shapes = len(box.tools) * MESSAGE_BYTES
    return (
        prompt_bytes(texts, head.sources, head.output) + definitions + shapes + INTRODUCTION_BYTES
    )


def entries_bytes(entries: Iterable[Entry]) -> int:
    return sum(map(entry_bytes, entries))


def entry_bytes(entry: Entry) -> int:
    size = sum(MESSAGE_BYTES + json_bytes_of(each.whole) for each in entry.results)
    if entry.said is not None:
        size += MESSAGE_BYTES + json_bytes_of(entry.said.whole)
    if entry.turn is not None:
        turn = entry.turn
        size += MESSAGE_BYTES + json_bytes_of(turn.content) + len(turn.carried.encode())
        size += sum(MESSAGE_BYTES + json_bytes_of(call.arguments) for call in turn.calls)
    return size
