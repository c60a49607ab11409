"""What each activity's options promise: a run does not wait long for a worker that has died."""

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from durable_agent_team.contracts.team import Agent, Retry
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


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("seconds", [5e-324, 1e-9, 5e-7])
def test_no_duration_rounds_to_nothing(name: str, seconds: float) -> None:
    """To Temporal it would be missing."""
    retry = Retry(initial_seconds=seconds, max_seconds=seconds)
    hasty = {
        "caller": Agent(role="Clerk", timeout_seconds=seconds, retry=retry),
        "tool": TOOL.model_copy(update={"timeout_seconds": seconds}),
        "connect_seconds": seconds,
    }
    found = options(OPTIONS[name], hasty)
    policy = found["retry_policy"]
    assert found["start_to_close_timeout"]
    assert policy.initial_interval
    assert policy.maximum_interval is None or policy.maximum_interval


def test_there_are_options_to_look_at() -> None:
    assert {"call_options", "tool_options", "listing_options"} <= set(OPTIONS)


def options(of: Callable[..., Any], changes: Mapping[str, Any] = MappingProxyType({})) -> Any:
    needed = [
        each.name
        for each in inspect.signature(of).parameters.values()
        if each.default is inspect.Parameter.empty
    ]
    given = {**ARGUMENTS, **changes}
    if of is policies.listing_options:
        given["connect_seconds"] = [given["connect_seconds"]] * 2
    return of(**{each: given[each] for each in needed})
