"""How large the prompts of an agent with tools may become, turn by turn: for the estimate."""

from durable_agent_team.contracts.model_catalog import ModelPrice
from durable_agent_team.contracts.team import Agent, Caller
from durable_agent_team.rules.bounds import BYTES_PER_TOKEN
from durable_agent_team.rules.catalog import context_of
from durable_agent_team.rules.tools.compaction import room_bytes
from durable_agent_team.rules.tools.conversation_size import INTRODUCTION_BYTES, MESSAGE_BYTES

DEFINITIONS_BYTES = 4_000
"""Allowed for what an entry of `tools` adds to a prompt; known only once the tools are listed."""


def turn_prompts(prompt_bytes: int, caller: Caller, price: ModelPrice | None) -> list[int]:
    """The bytes of each turn's prompt, where every turn says all that it may and calls one tool
    with the longest result. One prompt for an agent without tools.

    Old results make room from half of the context on, so that a prompt does not grow beyond.
    """
    if not isinstance(caller, Agent) or not caller.tools or caller.run is not None:
        return [prompt_bytes]
    first = prompt_bytes + INTRODUCTION_BYTES + DEFINITIONS_BYTES * len(caller.tools)
    longest = max(each.max_result_bytes for each in caller.tools)
    growth = caller.max_tokens * BYTES_PER_TOKEN + longest + 2 * MESSAGE_BYTES
    most = max(room_bytes(context_of(caller, price)), first + growth)
    return [min(first + turn * growth, most) for turn in range(caller.max_turns)]
