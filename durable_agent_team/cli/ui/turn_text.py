"""Pure: a turn of an agent with tools: what its model said, and each call of a tool."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from durable_agent_team.cli.json_layout import laid_out
from durable_agent_team.cli.output import duration_text, flat, usd
from durable_agent_team.cli.ui.decided_text import who_and_when
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.conversation_view import ToolCallStatus, ToolCallView
from durable_agent_team.rules.safe_text import one_line, visible

MOST_SHOWN = 2_000
"""Characters of arguments and of a result; `task --json` has all of them."""

STATUSES = {
    ToolCallStatus.READY: "waits for a free place",
    ToolCallStatus.APPROVAL: "waits for a person to approve it",
    ToolCallStatus.RUNNING: "in flight",
    ToolCallStatus.PARKED: "waits for a person's answer",
    ToolCallStatus.DONE: "done",
    ToolCallStatus.FAILED: "failed, and the model was told",
    ToolCallStatus.NOT_RUN: "not run",
    ToolCallStatus.REJECTED: "rejected, and not run",
    ToolCallStatus.SKIPPED: "left out, as a person said",
    ToolCallStatus.ANSWERED: "answered by a person",
    ToolCallStatus.CANCELLED: "cancelled, and not run",
    ToolCallStatus.UNKNOWN: "cancelled while it ran: it may have had its effect",
}


def tool_call_lines(call: ToolCallView) -> Iterator[str]:
    """One call. What an agent or a tool wrote is indented, with its hidden characters escaped: it
    cannot look like a line of ours."""
    effects = f", effects: {call.effects}" if call.effects is not None else ""
    took = f" in {duration_text(call.seconds)}" if call.seconds is not None else ""
    yield (
        f"  tool {call.number} {one_line(flat(call.source or call.name))}{effects}:"
        f" {STATUSES[call.status]}{took}"
    )
    yield from _field("arguments", laid_out(call.arguments) or call.arguments)
    if call.approval:
        note = f": {flat(call.note)}" if call.note else ""
        yield from _field("approval", f"{call.approval.replace('_', ' ')}{note}")
    if call.decided_at is not None:
        yield from _field("decided", who_and_when(call.decided_by, call.decided_at))
    if call.tainted:
        yield from _field("tainted", "something from outside had entered the conversation")
    if call.reason and not flat(call.result).startswith(flat(call.reason).removesuffix("…")):
        yield from _field("reason", flat(call.reason))
    if call.result:
        yield from _field("result", call.result)
    if call.bytes:
        yield from _field("cut", f"the model got a part of {call.bytes:,} bytes")
    if call.charged_usd:
        yield from _field("charge", f"{usd(call.charged_usd)} USD")


def tools_total(calls: Sequence[ToolCallView]) -> str:
    """Such as `, 2 calls of tools for 0.500000 USD`; empty where there are none."""
    if not calls:
        return ""
    charged = sum((call.charged_usd for call in calls), Decimal(0))
    cost = f" for {usd(charged)} USD" if charged else ""
    count = "1 call of a tool" if len(calls) == 1 else f"{len(calls)} calls of tools"
    return f", {count}{cost}"


def _field(name: str, text: str) -> Iterator[str]:
    shown = visible(cut(text.replace("\r\n", "\n"), MOST_SHOWN), "\n\t")
    first, *more = shown.split("\n")
    yield f"    {name:<9} {first}"
    yield from (f"              {line}" for line in more)
