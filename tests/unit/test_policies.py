"""What each activity's options promise: a run does not wait long for a worker that has died."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from durable_agent_team.contracts.team import Agent
from durable_agent_team.contracts.tool_kinds import Effects, PythonTool
from workflows import policies

AGENT = Agent(role="Clerk", budget_usd=1)
TOOL = PythonTool(python="shop.tools:refund", timeout_seconds=3000)
HOUR = 3600.0
ARGUMENTS: dict[str, Any] = {
    "caller": AGENT,
    "tool": TOOL,
    "effects": Effects.ONCE,
    "max_parallel": 500,
    "connect_seconds": HOUR,
}
OPTIONS = {
    name: each
    for name, each in inspect.getmembers(policies, inspect.isfunction)
    if name.endswith("_options") and each.__module__ == policies.__name__
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_dead_worker_is_noticed_within_half_a_minute(name: str) -> None:
    """By a missing heartbeat, or because the attempt's whole time is over."""
    found = options(OPTIONS[name])
    noticed = found.get("heartbeat_timeout") or found["start_to_close_timeout"]
    assert noticed.total_seconds() <= 30


def test_there_are_options_to_look_at() -> None:
    assert {"call_options", "tool_options", "listing_options"} <= set(OPTIONS)


def options(of: Callable[..., Any]) -> dict[str, Any]:
    needed = [
        each.name
        for each in inspect.signature(of).parameters.values()
        if each.default is inspect.Parameter.empty
    ]
    given = dict(ARGUMENTS)
    if of is policies.listing_options:
        given["connect_seconds"] = [HOUR, HOUR]
    made: dict[str, Any] = of(**{each: given[each] for each in needed})
    return made
