"""All accounts of a run are opened by one request, and closed by one, where the provider has it."""

import itertools
import json
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.accounts import Capabilities, CloseAccounts
from durable_agent_team.contracts.error_types import ErrorType
from tests.activities.support import Answer, Rooms, Seen, context, open_for, rooms_at, serving
from tests.support.gateway import PARENT_KEY

ORDERS = [(f"agent-{number}", "5") for number in range(5)]
LEDGER = Capabilities(hard_limit=True, ledger=True)


def reply(code: int = 200, /, **fields: Any) -> Answer:
    return code, {}, json.dumps(fields).encode()


class Provider:
    """ATXP's single requests; to the one for all, `batch` is the answer."""

    def __init__(self, batch: Answer) -> None:
        self.batch = batch
        self._numbers = itertools.count()
        self.paths: list[str] = []

    def __call__(self, seen: Seen) -> Answer:
        self.paths.append(seen.path)
        if seen.path.endswith("/agents/batch"):
            return self.batch
        if seen.path.endswith("/agents"):
            return reply(id=f"a{next(self._numbers)}", api_key="key-of-it-0123456789", budget=5)
        return reply(id=seen.path.rpartition("/")[2], status="disabled", spent=0, reserved=0)

    @property
    def batches(self) -> int:
        return sum(path.endswith("/agents/batch") for path in self.paths)


async def closed(rooms: Rooms, accounts: Any) -> list[tuple[str, str]]:
    order = CloseAccounts(accounts=accounts, known={}, capabilities=LEDGER)
    result = await context().run(rooms.accounts.close_accounts, order)
    return [(ledger.agent, ledger.status) for ledger in result.ledgers]


async def test_the_gateway_gets_one_request_for_all(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def single(*_: Any) -> Any:
        raise AssertionError("a single request")

    monkeypatch.setattr(rooms.provider, "open", single)
    monkeypatch.setattr(rooms.provider, "close", single)
    opened = await open_for(rooms, *ORDERS)
    assert [each.agent for each in opened.accounts] == [agent for agent, _ in ORDERS]
    assert await closed(rooms, opened.accounts) == [(agent, "disabled") for agent, _ in ORDERS]


@pytest.mark.parametrize(
    ("batch", "asked"),
    [
        (reply(404), 1),
        (reply(405), 1),
        ((501, {}, b""), 1),
        (reply(400, error={"message": "no"}), 2),
        (reply(409, error={"message": "no"}), 2),
        (reply(id="batch", api_key="key-of-it-0123456789"), 2),
        (reply(agents=[{"id": "a"}]), 2),
    ],
)
async def test_elsewhere_they_are_opened_and_closed_one_by_one(batch: Answer, asked: int) -> None:
    """A provider that has no such request is not asked again."""
    provider = Provider(batch)
    async with serving(provider) as server, rooms_at(server.url, PARENT_KEY) as rooms:
        opened = await open_for(rooms, *ORDERS)
        assert len({each.account_id for each in opened.accounts}) == 5
        assert await closed(rooms, opened.accounts) == [(agent, "disabled") for agent, _ in ORDERS]
    assert provider.batches == asked
    assert len(provider.paths) == asked + 10


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, ErrorType.UNAUTHORIZED),
        (429, ErrorType.RATE_LIMITED),
        (503, ErrorType.UPSTREAM_UNAVAILABLE),
    ],
)
async def test_trouble_is_trouble_and_not_asked_for_once_more(
    status: int, expected: ErrorType
) -> None:
    provider = Provider(reply(status))
    async with serving(provider) as server, rooms_at(server.url, PARENT_KEY) as rooms:
        with pytest.raises(ApplicationError) as caught:
            await open_for(rooms, *ORDERS)
    assert caught.value.type == expected.value
    assert len(provider.paths) == 1


async def test_another_limit_in_the_answer_is_refused() -> None:
    agents = [{"id": f"a{n}", "api_key": "key-of-it-0123456789", "budget": 6} for n in range(5)]
    provider = Provider(reply(agents=agents))
    async with serving(provider) as server, rooms_at(server.url, PARENT_KEY) as rooms:
        with pytest.raises(ApplicationError) as caught:
            await open_for(rooms, *ORDERS)
    assert caught.value.type == ErrorType.LIMIT_REFUSED.value


async def test_states_of_other_accounts_are_not_taken_for_theirs() -> None:
    provider = Provider(reply(404))
    async with serving(provider) as server, rooms_at(server.url, PARENT_KEY) as rooms:
        opened = await open_for(rooms, *ORDERS)
    states = [{"id": f"a{n}", "status": "active"} for n in reversed(range(5))]
    provider = Provider(reply(agents=states))
    async with serving(provider) as server, rooms_at(server.url, PARENT_KEY) as rooms:
        assert await closed(rooms, opened.accounts) == [(agent, "disabled") for agent, _ in ORDERS]
