"""An approval of a call of a tool holds for what was approved, and for nothing else."""

from types import SimpleNamespace
from typing import Any

import pytest

from durable_agent_team.contracts.conversation import ToolCall
from durable_agent_team.contracts.tool_box import ToolBox, ToolFacts
from durable_agent_team.contracts.tool_kinds import Effects
from durable_agent_team.rules.tools.approval_rules import approved_sha256
from workflows.state.tool_work import ToolCallState, ToolWork
from workflows.tools.call_approval import check_approved
from workflows.tools.one_call import OneCall

USER: Any = SimpleNamespace()
SOURCE = "shop.tools:refund"
REFUND = ToolFacts(
    name="refund", entry=0, own_name="refund", source=SOURCE, effects=Effects.ONCE, sha256="0" * 64
)
SEND = REFUND.model_copy(update={"source": "shop.tools:send"})


@pytest.mark.parametrize(
    ("approved", "called"),
    [
        ((REFUND, '{"usd": 9}'), (REFUND, '{"usd": 90}')),
        ((REFUND, '{"usd": 9}'), (SEND, '{"usd": 9}')),
        ((REFUND, '{"usd": 9}'), (REFUND.model_copy(update={"sha256": "1" * 64}), '{"usd": 9}')),
    ],
    ids=["other arguments", "another tool", "a changed definition"],
)
def test_nothing_but_what_was_approved_is_called(
    approved: tuple[ToolFacts, str], called: tuple[ToolFacts, str]
) -> None:
    with pytest.raises(RuntimeError, match=r"refund:2\.1 is not the call that was approved"):
        check_approved(call(*called, approved_sha256(*approved)))


@pytest.mark.parametrize("arguments", ['{"usd": 9, "n": 1}', '{ "n":1, "usd":9 }'])
def test_the_approved_call_is_made_however_its_json_is_written(arguments: str) -> None:
    check_approved(call(REFUND, arguments, approved_sha256(REFUND, '{"usd": 9, "n": 1}')))


def test_a_call_that_needs_no_approval_is_made() -> None:
    check_approved(call(REFUND, "{}", None))


def call(facts: ToolFacts, arguments: str, approved: str | None) -> OneCall:
    return OneCall(
        USER,
        ToolWork("refund", "clerk", "c1"),
        ToolCallState("refund", approved_sha256=approved),
        "2.1",
        ToolCall(id="call_1", name="refund", arguments=arguments),
        facts,
        ToolBox(tools=(facts,), definitions="[]", sha256="0" * 64),
    )
