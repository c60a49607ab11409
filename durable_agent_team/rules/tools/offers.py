"""Which tools a turn is offered: only what remains."""

from collections.abc import Mapping
from dataclasses import dataclass

from durable_agent_team.contracts.team import Agent
from durable_agent_team.contracts.tool_box import ToolBox, ToolFacts


@dataclass(frozen=True)
class Offer:
    """What the model may do in a turn."""

    names: tuple[str, ...] | None
    """The tools that it may call; None is all of them, empty is none: then it has to answer."""
    must_act: bool = False
    """It may not answer: a required tool has not been called successfully."""


@dataclass(frozen=True)
class CallsSoFar:
    """The calls of one conversation, by the tool's name."""

    made: Mapping[str, int]
    succeeded: Mapping[str, int]
    repeats: bool = False
    """The last turn asked for a call that had been made too often."""


def offer(agent: Agent, box: ToolBox, so_far: CallsSoFar, *, is_last: bool) -> Offer:
    """Nothing in the last turn, and after a repetition; else a tool that is required and has not
    succeeded, or all whose `max_calls` are not used up."""
    if is_last or so_far.repeats:
        return Offer(())
    left = [each for each in box.tools if _is_left(agent, each, so_far)]
    missing = missing_tools(agent, box, so_far)
    required = tuple(each.name for each in left if each.name in missing)
    if required:
        return Offer(required, must_act=True)
    if len(left) == len(box.tools):
        return Offer(None if left else ())
    return Offer(tuple(each.name for each in left))


def missing_tools(agent: Agent, box: ToolBox, so_far: CallsSoFar) -> tuple[str, ...]:
    """The tools of required entries of which none has succeeded."""
    done = {each.entry for each in box.tools if so_far.succeeded.get(each.name)}
    return tuple(
        each.name
        for each in box.tools
        if agent.tools[each.entry].required and each.entry not in done
    )


def unmet_tools(
    agent: Agent, box: ToolBox, so_far: CallsSoFar, *, is_last: bool
) -> tuple[str, ...]:
    """The tools that are missing and cannot be called any more: whatever the agent would answer, it
    may not. An entry counts as long as one of its tools is left."""
    if is_last or so_far.repeats:
        return missing_tools(agent, box, so_far)
    open_entries = {each.entry for each in box.tools if _is_left(agent, each, so_far)}
    entries = {each.name: each.entry for each in box.tools}
    missing = missing_tools(agent, box, so_far)
    return tuple(name for name in missing if entries[name] not in open_entries)


def _is_left(agent: Agent, tool: ToolFacts, so_far: CallsSoFar) -> bool:
    most = agent.tools[tool.entry].max_calls
    return most is None or so_far.made.get(tool.name, 0) < most
