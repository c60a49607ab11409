"""The calls of tools that have not ended, as `state` and the Temporal UI show them."""

from collections.abc import Iterator
from types import MappingProxyType

from durable_agent_team.contracts.conversation_view import ToolCallStatus
from durable_agent_team.contracts.run import OpenToolCall
from workflows.state.progress import Progress
from workflows.state.tool_work import ToolWork, subject_of

MOST_STEP = 100
IN_WORDS = MappingProxyType(
    {
        ToolCallStatus.READY: "waits for a place",
        ToolCallStatus.APPROVAL: "waits for approval",
        ToolCallStatus.RUNNING: "in flight",
        ToolCallStatus.PARKED: "waits for an answer",
    }
)
"""The statuses of a call that has not ended."""


def open_tool_calls(progress: Progress) -> Iterator[OpenToolCall]:
    """In the order in which they were asked for. A call that is equal to another one of its turn
    is not listed: it gets that one's result."""
    for work in progress.tool_work.values():
        for number, call in work.calls.items():
            if call.status not in IN_WORDS or call.same_as is not None:
                continue
            given = {"tainted": True} if call.tainted else {}
            yield OpenToolCall(
                subject=subject_of(work.task, number),
                agent=work.agent,
                source=call.source or call.name,
                effects=call.effects,
                status=call.status,
                started_at=call.started_at,
                **given,
            )


def tool_step(work: ToolWork) -> str | None:
    """The tool that is called for a task, or the first of several; None where none is."""
    running = [each for each in work.calls.values() if each.status is ToolCallStatus.RUNNING]
    if not running:
        return None
    more = f" and {len(running) - 1} more" if len(running) > 1 else ""
    return f"{running[0].source[: MOST_STEP - len(more)]}{more}"
