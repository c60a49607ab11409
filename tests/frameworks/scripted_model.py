"""What the scripted upstream says to an agent with a tool: first a call of it, then an answer."""

import asyncio
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tests.support.upstream import Received, Rule, ScriptedUpstream

TOOL = "open_ticket"
WANTED = "Open a ticket"
"""The model calls the tool of agents whose prompts say so."""
TITLE = "The brakes squeal"
ANSWER = "We opened a ticket; the workshop will look at your brakes."
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
CALL_USD = Decimal("0.00014")
"""Of each call, at 1 and 2 USD per million tokens."""


class Script:
    """The model of one stack, for one run after another. Holds the first answer to a tool's result
    of each run until `release`, so that the agent can be killed meanwhile."""

    def __init__(self) -> None:
        self.upstream = ScriptedUpstream()
        self.second_call = asyncio.Event()
        self.kills = 0
        self._gate = asyncio.Event()
        self.begin()

    @property
    def calls(self) -> int:
        """Requests that reached the provider in this run."""
        return self.upstream.count

    def begin(self) -> None:
        """For the next run."""
        self.second_call.clear()
        self.kills = 0
        self._gate = asyncio.Event()
        self.upstream.clear()
        held = Rule(match=self._is_second, text=ANSWER, usage=USAGE, times=1, gate=self._gate)
        self.upstream.add(held, *rules())

    def release(self) -> None:
        self._gate.set()

    def _is_second(self, sent: Received) -> bool:
        if has_result(sent):
            self.second_call.set()
            return True
        return False


def rules() -> list[Rule]:
    """A call of the tool where it is wanted, offered, and not made yet; otherwise an answer."""
    return [
        Rule(match=calls_tool, body=tool_calls([TITLE])),
        Rule(text=ANSWER, usage=USAGE),
    ]


def calls_tool(sent: Received) -> bool:
    tools = sent.body.get("tools") or []
    offered = any(each.get("function", {}).get("name") == TOOL for each in tools)
    return offered and WANTED in sent.text and not has_result(sent)


def has_result(sent: Received) -> bool:
    return any(each.get("role") == "tool" for each in sent.body.get("messages") or [])


def tool_calls(titles: Sequence[str]) -> dict[str, Any]:
    """A completion whose message calls the tool, once for each title."""
    calls = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": TOOL, "arguments": json.dumps({"title": title})},
        }
        for number, title in enumerate(titles, 1)
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": USAGE,
    }
