"""What a run takes over from agents with tools: only answers, and what a person has approved."""

import asyncio
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from durable_agent_team.client.exceptions import RerunRefused
from durable_agent_team.client.reruns import rerun_request, reuse_request
from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Team
from durable_agent_team.contracts.tool_call import ToolFailure, ToolOrder
from tests.support.fakes import FakeWorld
from tests.support.tools import ToolWorld, calls
from tests.workflows.runs import started, team
from tests.workflows.test_tool_effects import waits
from tests.workflows.test_turns import clerk, looks


def request(given: dict[str, Any]) -> RunRequest:
    return RunRequest(team=Team.model_validate(given))


async def test_what_was_answered_with_tools_is_reused_where_the_same_is_asked(
    client: Client,
) -> None:
    async with started(client, ToolWorld(looks(2)), {"team": clerk()}) as handle:
        await handle.result()
        same = await reuse_request(client, request(clerk()), handle.id)
        other_tools = clerk({"python": "shop.tools:look", "effects": "none", "max_calls": 5})
        other = await reuse_request(client, request(other_tools), handle.id)
        no_tools = await reuse_request(client, request(clerk(tools=[])), handle.id)
    assert same.seed is not None
    assert list(same.seed.tasks) == ["refund"]
    assert other.seed is not None
    assert not other.seed.tasks
    assert no_tools.seed is not None
    assert not no_tools.seed.tasks


class Talkative(ToolWorld):
    """Its model says what it does before it does it."""

    def answer(
        self, call: CallRequest, text: str | None = None, reasons: tuple[str, ...] = ()
    ) -> CallResult:
        return super().answer(call, text or "I look first.", reasons)


async def test_a_turn_is_no_answer(client: Client) -> None:
    """A run that was terminated between two turns has no hand-off of that task."""
    asks = {"python": "shop.tools:look", "effects": "once", "approve": "always"}
    async with started(client, Talkative(looks(2)), {"team": clerk(asks)}) as handle:
        await waits(handle, "refund:1.1")
        await handle.terminate()
        seed = (await rerun_request(client, handle.id)).seed
    assert seed is not None
    assert not seed.tasks


async def test_a_handoff_that_no_one_has_approved_is_not_taken_over(client: Client) -> None:
    given = team()
    given["tasks"][0]["approve"] = "after"
    first = given["tasks"][0]["id"]
    asked: list[CallRequest] = []
    world = FakeWorld(lambda call: asked.append(call))
    async with started(client, world, {"team": given}) as handle:
        await waits(handle, f"{first}:handoff")
        await handle.terminate()
        unapproved = (await rerun_request(client, handle.id)).seed
    async with started(client, world, {"team": given}) as handle:
        await waits(handle, f"{first}:handoff")
        answer = {"subject": f"{first}:handoff", "approved": True}
        await handle.execute_update("approve", answer)
        await handle.terminate()
        approved = (await rerun_request(client, handle.id)).seed
    assert unapproved is not None
    assert first not in unapproved.tasks
    assert approved is not None
    assert first in approved.tasks


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        ("cut off", "may have run"),
        ("unknown", "may have run"),
        ("done", "has run"),
        ("not sent", ""),
        ("without effects", ""),
    ],
)
async def test_what_a_tool_did_is_not_done_again_unasked(
    client: Client, happens: str, said: str
) -> None:
    """A run that ended before its task was done is continued: the task begins anew."""
    begun, never = asyncio.Event(), asyncio.Event()

    async def tool(order: ToolOrder) -> str:
        begun.set()
        if happens == "cut off":
            await never.wait()
        if happens in ("unknown", "not sent"):
            sent = happens == "unknown"
            kind = ErrorType.EFFECT_UNKNOWN if sent else ErrorType.TOOL_UNAVAILABLE
            failure = ToolFailure(sent=sent)
            raise ApplicationError("lost", failure, type=kind.value, non_retryable=True)
        return "paid"

    effects = "none" if happens == "without effects" else "once"
    pays = {"python": "shop.tools:look", "effects": effects, "approve": "never"}
    then = {"python": "shop.tools:tell", "effects": "once", "approve": "always"}

    def says(call: CallRequest) -> Any:
        assert call.conversation is not None
        turn = call.conversation.turn
        return calls(("look", {"order": 7}) if turn == 1 else ("tell", {}))

    async with started(client, ToolWorld(says, tool), {"team": clerk(pays, then)}) as handle:
        await begun.wait()
        if happens in ("done", "without effects"):
            await waits(handle, "refund:2.1")
        elif happens != "cut off":
            await waits(handle, "refund:1.1")
        await handle.terminate()
        never.set()
        if said:
            with pytest.raises(RerunRefused) as caught:
                await rerun_request(client, handle.id)
            line = f'  refund: shop.tools:look {{"order": 7}}: {said}'
            assert line in str(caught.value).splitlines()
            assert "shop.tools:tell" not in str(caught.value)
            assert f"rerun {handle.id} --id {handle.id}-rerun " in str(caught.value)
            assert " --repeat-effects` has" in str(caught.value)
        seed = (await rerun_request(client, handle.id, repeat_effects=bool(said))).seed
    assert seed is not None
    assert not seed.tasks
