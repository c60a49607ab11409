"""What an agent reads from outside before its first call of a tool."""

from typing import Any

import pytest

from durable_agent_team.contracts.team import Agent, Task
from durable_agent_team.rules.tools.taint import begins_tainted

SERVER = {"server": "mail"}


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
    agent = Agent.model_validate({"role": "clerk", "budget_usd": 1, "tools": [tool]})
    assert begins_tainted(Task(id="t", agent="clerk", ask="x"), agent, ()) is expected
