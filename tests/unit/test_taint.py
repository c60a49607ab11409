"""What an agent reads from outside before its first call of a tool."""

from typing import Any

import pytest

from durable_agent_team.contracts.team import Agent, Task
from durable_agent_team.rules.tools.taint import begins_tainted

SERVER = {"server": "mail"}


def team(**tools: list[Any]) -> dict[str, Agent]:
    """An agent for each name, with these tools."""
    return {
        name: Agent.model_validate({"role": name, "budget_usd": 1, "tools": each})
        for name, each in tools.items()
    }


def plan(*tasks: tuple[str, str, tuple[str, ...]], **more: Any) -> dict[str, Task]:
    return {
        name: Task(id=name, agent=agent, ask="x", depends_on=needs, **more.get(name, {}))
        for name, agent, needs in tasks
    }


def begins(name: str, tasks: dict[str, Task], agents: dict[str, Agent], *tainted: str) -> bool:
    task = tasks[name]
    return begins_tainted(task, agents[task.agent], tainted, tasks, agents)


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
    assert begins("t", plan(("t", "a", ())), team(a=[tool])) is expected


def test_hand_offs_taint_through_agents_that_have_no_tools() -> None:
    tasks = plan(("t0", "reader", ()), ("t1", "writer", ("t0",)), ("t2", "clerk", ("t1",)))
    refund = {"python": "shop:refund"}
    assert begins("t2", tasks, team(reader=[SERVER], writer=[], clerk=[refund]))
    assert not begins("t2", tasks, team(reader=["calculate"], writer=[], clerk=[refund]))
    assert begins("t2", tasks, team(reader=[], writer=[], clerk=[refund]), "t0")


def test_a_document_taints_what_is_made_of_it() -> None:
    tasks = plan(("t0", "writer", ()), ("t1", "clerk", ("t0",)), t0={"inputs": ("a.txt",)})
    assert begins("t1", tasks, team(writer=[], clerk=["calculate"]))


def test_a_task_that_a_review_added_is_tainted_by_whatever_the_review_has_read() -> None:
    tasks = plan(("t0", "reader", ()), ("review1-1", "clerk", ()))
    assert begins("review1-1", tasks, team(reader=[SERVER], clerk=["calculate"]))
    assert not begins("review1-1", tasks, team(reader=["calculate"], clerk=["calculate"]))
