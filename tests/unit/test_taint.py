"""What an agent reads from outside before its first call of a tool, and what it hands on."""

from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.contracts.team import Agent, Task
from durable_agent_team.rules.revision import added_id
from durable_agent_team.rules.tools.taint import begins_tainted, hands_on_taint, may_be_tainted

SERVER = {"server": "mail"}
PLAIN = Agent.model_validate({"role": "clerk", "budget_usd": 1})


def agent(*tools: Any, **more: Any) -> Agent:
    return Agent.model_validate({"role": "clerk", "budget_usd": 1, "tools": list(tools), **more})


def task(name: str = "t", **more: Any) -> Task:
    return Task.model_validate({"id": name, "agent": "clerk", "ask": "x", **more})


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (SERVER, True),
        ({**SERVER, "trusted": True}, False),
        ("read_document", True),
        ("search_documents", True),
        ({"built_in": "read_document", "trusted": True}, False),
        ("calculate", False),
        ({"python": "shop:refund"}, False),
    ],
)
def test_descriptions_of_tools_are_from_outside_where_others_write_them(
    tool: Any, expected: bool
) -> None:
    assert begins_tainted(task(), agent(tool), ()) is expected


PROGRAM = {"run": {"command": ["crew"]}}
REMOTE = {"run": {"a2a": "https://agent.example"}}


@pytest.mark.parametrize(
    ("of_agent", "of_task", "begins", "hands_on", "of_another_run"),
    [
        (agent(), {}, False, False, False),
        (agent(), {"inputs": ["a.md"]}, True, True, True),
        (agent(inputs=["a.md"]), {}, True, True, True),
        (agent(), {"depends_on": ["dirty"]}, True, True, True),
        (agent(), {"depends_on": ["clean"]}, False, False, False),
        (agent("calculate"), {}, False, False, False),
        (agent({"python": "shop:look"}), {}, False, False, True),
        (agent({"built_in": "fetch", "hosts": ["a.example"]}), {}, False, False, True),
        (agent({"python": "shop:look", "trusted": True}), {}, False, False, False),
        (agent(**PROGRAM), {}, False, True, True),
        (agent(**REMOTE), {}, False, True, True),
    ],
)
def test_a_handoff_is_as_tainted_as_what_it_was_made_from(
    of_agent: Agent, of_task: dict[str, Any], begins: bool, hands_on: bool, of_another_run: bool
) -> None:
    given, tainted = task(**of_task), {"dirty"}
    assert begins_tainted(given, of_agent, tainted) is begins
    assert hands_on_taint(given, of_agent, tainted) is hands_on
    assert may_be_tainted(given, of_agent, tainted) is of_another_run


def test_what_a_review_asks_for_is_as_tainted_as_what_it_has_read() -> None:
    added = task(added_id(1, 1))
    assert not begins_tainted(added, PLAIN, ())
    assert begins_tainted(added, PLAIN, {"another"})
    assert begins_tainted(added, PLAIN, (), asks={added.id}), "also while that is made anew"
    assert not begins_tainted(task("review-texts"), PLAIN, {"another"})


names = st.sampled_from(["a", "b", "c", added_id(1, 1)])
some_names = st.sets(names)
agents = st.sampled_from(
    [agent(), agent(SERVER), agent("calculate"), agent({"python": "a:b"}), agent(**PROGRAM)]
)
tasks = st.builds(
    lambda name, needs, reads: task(
        name, depends_on=sorted(needs - {name}), inputs=["a.md"] if reads else []
    ),
    names,
    some_names,
    st.booleans(),
)


@given(tasks, agents, some_names, some_names, some_names)
def test_more_taint_never_means_less(
    given: Task, of: Agent, tainted: Collection[str], more: Collection[str], asks: Collection[str]
) -> None:
    for rule in (begins_tainted, hands_on_taint, may_be_tainted):
        if rule(given, of, tainted, asks):
            assert rule(given, of, {*tainted, *more}, asks)
            assert rule(given, of, tainted, {*asks, *more})
    if begins_tainted(given, of, tainted, asks):
        assert hands_on_taint(given, of, tainted, asks)
    if hands_on_taint(given, of, tainted, asks):
        assert may_be_tainted(given, of, tainted, asks)
    if set(given.depends_on) & set(tainted):
        assert begins_tainted(given, of, tainted, asks)
