"""Pydantic AI, OpenAI Agents and Agent Framework, unchanged, in a scope of the real gateway.

`make frameworks` does the same with all of them, through Temporal and the worker.
"""

import pytest

from tests.frameworks.hosted_desk import HostedDesk
from tests.frameworks.scripted_model import ANSWER, CALL_USD, TITLE, calls_tool, tool_calls
from tests.support.upstream import Rule

pytestmark = pytest.mark.timeout(240)
PARALLEL = [TITLE, "The bell is gone", TITLE]
"""Two equal calls in one turn are two calls."""


@pytest.mark.parametrize(
    ("team", "titles"), [("openai_agents_desk", [TITLE]), ("pydantic_ai_desk", PARALLEL)]
)
async def test_a_killed_agent_pays_each_call_once_and_acts_once(
    desk: HostedDesk, team: str, titles: list[str]
) -> None:
    desk.script.upstream.rules.insert(0, Rule(match=calls_tool, body=tool_calls(titles)))
    await desk.kill_in_the_second_call(team, attempt=1)
    assert await desk.answer(team, attempt=2) == ANSWER
    assert desk.script.calls == 2
    books = await desk.books()
    assert books["spent_usd"] == 2 * CALL_USD
    assert books["calls"]["charged"] == 2
    assert sorted(desk.tickets) == sorted(titles)


async def test_retries_of_the_sdk_are_no_further_calls(desk: HostedDesk) -> None:
    """The SDKs of these frameworks retry by themselves; nothing has to be turned off."""
    desk.script.release()
    desk.script.upstream.rules.insert(0, Rule(status=500, times=1))
    assert await desk.answer("openai_agents_desk", attempt=1) == ANSWER
    books = await desk.books()
    assert (books["calls"]["charged"], books["calls"]["failed"]) == (2, 1)
    assert desk.script.calls == 3
    assert books["spent_usd"] == 2 * CALL_USD


@pytest.mark.parametrize("client", ["openai_agents", "pydantic_ai"])
async def test_default_clients_work_unchanged(desk: HostedDesk, client: str) -> None:
    """They speak OpenAI's Responses API, and are given an address and a key."""
    desk.script.release()
    assert await desk.answer(f"tests.frameworks.default_clients:{client}", attempt=1) == ANSWER
    assert desk.tickets == [TITLE]
    books = await desk.books()
    assert (books["calls"]["charged"], books["calls"]["refused"]) == (2, 0)
    assert desk.script.calls == 2


async def test_agent_frameworks_default_client_sends_the_whole_conversation(
    desk: HostedDesk,
) -> None:
    """It sends the id of a stored response instead, wherever it is told one. The scripted model
    opens another ticket where a request does not have the first one's result."""
    desk.script.release()
    said = await desk.answer("tests.frameworks.default_clients:agent_framework", attempt=1)
    first, refused, last = said.splitlines()
    assert first == last == ANSWER
    assert "`previous_response_id` is not served" in refused
    assert "store: false" in refused
    assert desk.tickets == [TITLE, TITLE]
    assert (await desk.books())["calls"]["charged"] == desk.script.calls == 5


async def test_a_refusal_is_kept_where_the_framework_hides_it(desk: HostedDesk) -> None:
    account = desk.account
    reply = await account.api.send("PATCH", f"/v1/agents/{account.id}", {"budget": 0.000001})
    assert reply.status == 200
    process = await desk.start("openai_agents_desk", attempt=1)
    _, said = await process.communicate()
    assert process.returncode == 1
    assert account.key.encode() not in said
    refusal = (await desk.books())["last_refusal"]
    assert (refusal["status"], refusal["attempt"]) == (402, 1)
    assert desk.script.calls == 0
