"""Accounts at the real gateway, and at providers that promise less or lie."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import AsyncActivityCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.accounts import Accounts
from durable_agent_team.atxp.account_api import AtxpAccounts
from durable_agent_team.atxp.chat_client import ChatClient
from durable_agent_team.atxp.provider import AccountState
from durable_agent_team.contracts.accounts import Capabilities, CloseAccounts, SetBudget
from durable_agent_team.contracts.call import AccountRef
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.model_catalog import ReadModels
from tests.activities.support import (
    SEALER,
    Answer,
    FakeClient,
    Rooms,
    Seen,
    call,
    client,
    context,
    open_for,
    rooms_at,
    serving,
)
from tests.support.gateway import PARENT_KEY, running_gateway
from tests.support.upstream import Rule, ScriptedUpstream


def reply(**fields: Any) -> Answer:
    return 200, {}, json.dumps(fields).encode()


PUBLISHED = {"id": "a1", "api_key": "key-of-a1-0123456789"}
"""The published answer: no more than this is promised."""


async def test_accounts_come_in_the_orders_order_and_again_the_same(rooms: Rooms) -> None:
    orders = [(f"agent-{number}", f"0.{number + 1:06d}") for number in range(60)]
    first = await open_for(rooms, *orders)
    again = await open_for(rooms, *orders)
    assert [account.agent for account in first.accounts] == [agent for agent, _ in orders]
    assert len({account.account_id for account in first.accounts}) == 60
    for one, other in zip(first.accounts, again.accounts, strict=True):
        assert one.account_id == other.account_id
        keys = [SEALER.unseal(a.sealed_key, a.account_id) for a in (one, other)]
        assert keys[0] == keys[1]
    assert first.capabilities == Capabilities(
        hard_limit=True, replay=True, ledger=True, transfer=True, charges=True
    )
    other_run = await open_for(rooms, orders[0], run="run-2")
    assert other_run.accounts[0].account_id != first.accounts[0].account_id


async def test_no_key_in_what_goes_to_temporal(rooms: Rooms) -> None:
    opened = await open_for(rooms, ("research", "1"))
    account = opened.accounts[0]
    key = SEALER.unseal(account.sealed_key, account.account_id).get_secret_value()
    assert key not in opened.model_dump_json()
    assert account.sealed_key not in repr(opened)


async def test_a_new_limit_holds_at_once_and_not_below_what_is_spent(rooms: Rooms) -> None:
    account = (await open_for(rooms, ("research", "1"))).accounts[0]
    result = await context().run(rooms.agents.call_agent, call(account=account))
    order = SetBudget(account=account, budget_usd=Decimal("2.5"))
    ledger = await context().run(rooms.accounts.set_budget, order)
    assert (ledger.agent, ledger.budget_usd) == ("research", Decimal("2.5"))
    assert ledger.spent_usd == result.cost_usd
    low = SetBudget(account=account, budget_usd=Decimal("0.000001"))
    with pytest.raises(ApplicationError) as caught:
        await context().run(rooms.accounts.set_budget, low)
    assert caught.value.type == ErrorType.LIMIT_REFUSED.value
    assert caught.value.non_retryable
    assert f"{result.cost_usd} are spent" in caught.value.message


@pytest.mark.parametrize(
    "error",
    [
        RPCError("given up", RPCStatusCode.NOT_FOUND, b""),
        RPCError("away", RPCStatusCode.UNAVAILABLE, b""),
        AsyncActivityCancelledError(),
    ],
)
async def test_a_worker_that_stood_still_does_not_set_a_limit_of_before(
    rooms: Rooms, error: Exception
) -> None:
    """Another worker has set it since, and the operator perhaps a lower one."""
    account = (await open_for(rooms, ("research", "1"))).accounts[0]
    order = SetBudget(account=account, budget_usd=Decimal(5))
    with pytest.raises(ApplicationError) as caught:
        await context(client=FakeClient(error)).run(rooms.accounts.set_budget, order)
    assert (caught.value.type, caught.value.non_retryable) == ("WorkerLost", False)
    assert (await rooms.provider.read(account.account_id)).budget_usd == 1


class StandsStill(AtxpAccounts):
    """As the process does before it sends a new limit, once, while `meanwhile` happens."""

    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def set_budget(self, *given: Any) -> AccountState:
        if meanwhile := self.meanwhile:
            self.meanwhile = None
            await meanwhile()
        return await super().set_budget(*given)


@pytest.fixture
async def still(rooms: Rooms) -> AsyncIterator[tuple[StandsStill, Accounts]]:
    """A worker that stands still, at the same gateway as the others."""
    async with client() as http:
        at = rooms.provider._url
        provider = StandsStill(http, at, rooms.provider.parent_key)
        yield provider, Accounts(provider, ChatClient(http, at), SEALER, None)


@pytest.mark.parametrize("closes", [True, False])
async def test_a_worker_that_stands_still_between_confirmation_and_limit(
    rooms: Rooms, still: tuple[StandsStill, Accounts], closes: bool
) -> None:
    """Another attempt has set it, and then the operator has set another one, or the run has ended
    and closed the account."""
    account = (await open_for(rooms, ("research", "1"))).accounts[0]
    provider, accounts = still

    async def meanwhile() -> None:
        await rooms.provider.set_budget(account.account_id, Decimal(5))
        if closes:
            await rooms.provider.close(account.account_id, None)
        else:
            await rooms.provider.set_budget(account.account_id, Decimal(2))

    provider.meanwhile = meanwhile
    given_up = FakeClient(None, RPCError("given up", RPCStatusCode.NOT_FOUND, b""))
    order = SetBudget(account=account, budget_usd=Decimal(5))
    with pytest.raises(ApplicationError) as caught:
        await context(client=given_up).run(accounts.set_budget, order)
    assert caught.value.type == ErrorType.WORKER_LOST.value
    state = await rooms.provider.read(account.account_id)
    expected = ("disabled", Decimal(5)) if closes else ("active", Decimal(2))
    assert (state.status, state.budget_usd) == expected


async def test_a_limit_is_set_although_money_moved_at_that_moment(
    rooms: Rooms, still: tuple[StandsStill, Accounts]
) -> None:
    one, other = (await open_for(rooms, ("research", "1"), ("editor", "1"))).accounts
    provider, accounts = still
    move = (one.account_id, other.account_id, Decimal("0.5"), "move")
    provider.meanwhile = lambda: rooms.provider.transfer(*move)
    order = SetBudget(account=one, budget_usd=Decimal(5))
    counts = FakeClient()
    assert (await context(client=counts).run(accounts.set_budget, order)).budget_usd == 5
    assert len(counts.marks) == 2


def closing(accounts: tuple[AccountRef, ...], known: dict[str, Decimal]) -> CloseAccounts:
    every = Capabilities(hard_limit=True, replay=True, ledger=True)
    return CloseAccounts(accounts=accounts, known=known, capabilities=every)


async def test_closing_reads_back_charges_only_where_the_sums_differ(rooms: Rooms) -> None:
    accounts = (await open_for(rooms, ("research", "1"), ("editor", "1"))).accounts
    costs = {}
    for account in accounts:
        result = await context().run(rooms.agents.call_agent, call(account=account))
        costs[account.agent] = result.cost_usd
    order = closing(accounts, {"research": costs["research"], "editor": Decimal(0)})
    read = await context().run(rooms.accounts.read_ledgers, order)
    assert [ledger.status for ledger in read.ledgers] == ["active", "active"]
    for _ in range(2):
        closed = await context().run(rooms.accounts.close_accounts, order)
        agreed, differs = closed.ledgers
        assert {agreed.status, differs.status} == {"disabled"}
        assert (agreed.spent_usd, agreed.charges) == (costs["research"], ())
        assert [charge.idempotency_key for charge in differs.charges] == ["call-1"]
        assert differs.charges[0].amount_usd == differs.spent_usd == costs["editor"]


async def test_a_ledger_of_several_pages_is_read_whole(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_agent_team.atxp.account_api.PAGE", 3)
    accounts = (await open_for(rooms, ("research", "1"))).accounts
    for number in range(8):
        asked = call(account=accounts[0], idempotency_key=f"call-{number}")
        await context().run(rooms.agents.call_agent, asked)
    closed = await context().run(rooms.accounts.close_accounts, closing(accounts, {}))
    charges = closed.ledgers[0].charges
    assert [charge.idempotency_key for charge in charges] == [f"call-{n}" for n in range(8)]
    assert sum(charge.amount_usd for charge in charges) == closed.ledgers[0].spent_usd


async def test_closing_waits_for_calls_in_flight(rooms: Rooms, upstream: ScriptedUpstream) -> None:
    upstream.add(Rule(latency=0.6))
    accounts = (await open_for(rooms, ("research", "1"))).accounts
    running = asyncio.ensure_future(
        context().run(rooms.agents.call_agent, call(account=accounts[0]))
    )
    while upstream.in_flight == 0:
        await asyncio.sleep(0.01)
    closed = await context().run(rooms.accounts.close_accounts, closing(accounts, {}))
    result = await running
    assert closed.ledgers[0].reserved_usd == 0
    assert closed.ledgers[0].spent_usd == result.cost_usd


async def test_what_is_still_reserved_when_time_is_over_is_said(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    upstream.add(Rule(latency=6))
    accounts = (await open_for(rooms, ("research", "1"))).accounts
    running = asyncio.ensure_future(
        context().run(rooms.agents.call_agent, call(account=accounts[0]))
    )
    while upstream.in_flight == 0:
        await asyncio.sleep(0.01)
    short = context(timeout=1.5)
    closed = await short.run(rooms.accounts.close_accounts, closing(accounts, {}))
    assert closed.ledgers[0].reserved_usd > 0
    running.cancel()


async def test_the_published_api_promises_a_limit_and_nothing_more() -> None:
    async with serving(reply(**PUBLISHED)) as server, rooms_at(server.url, PARENT_KEY) as rooms:
        opened = await open_for(rooms, ("research", "5"))
        assert opened.capabilities == Capabilities(hard_limit=True, replay=False, ledger=False)
        order = CloseAccounts(
            accounts=opened.accounts,
            known={"research": Decimal("0.25")},
            capabilities=opened.capabilities,
        )
        closed = await context().run(rooms.accounts.close_accounts, order)
        assert closed.ledgers[0].spent_usd == Decimal("0.25"), "what the run knows itself"
        assert json.loads(server.seen[-1].body) == {"status": "disabled"}
        assert json.loads(server.seen[0].body)["budget"] == 5
        assert server.seen[0].headers["Authorization"] == f"Bearer {PARENT_KEY}"
        asked = len(server.seen)
        read = await context().run(rooms.accounts.read_ledgers, order)
        assert read.ledgers[0].spent_usd == Decimal("0.25")
        assert len(server.seen) == asked, "nothing is asked of a provider that cannot answer"


@pytest.mark.parametrize("told", [4, "5.01", None, "plenty"])
async def test_another_limit_is_refused_and_the_account_closed(told: Any) -> None:
    answer = reply(**PUBLISHED, budget=told)
    async with serving(answer) as server, rooms_at(server.url, PARENT_KEY) as rooms:
        with pytest.raises(ApplicationError) as caught:
            await open_for(rooms, ("research", "5"))
        assert caught.value.type == ErrorType.LIMIT_REFUSED.value
        assert caught.value.non_retryable
        assert PUBLISHED["api_key"] not in caught.value.message
        assert json.loads(server.seen[-1].body) == {"status": "disabled"}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(id="a1"), ErrorType.PROVIDER_PROTOCOL),
        (reply(api_key="key-0123456789"), ErrorType.PROVIDER_PROTOCOL),
        ((200, {}, b"<html>"), ErrorType.PROVIDER_PROTOCOL),
        ((404, {}, b"{}"), ErrorType.PROVIDER_PROTOCOL),
        ((401, {}, b"{}"), ErrorType.UNAUTHORIZED),
        ((503, {}, b"{}"), ErrorType.UPSTREAM_UNAVAILABLE),
    ],
)
async def test_what_is_no_account_is_said(answer: Answer, expected: ErrorType) -> None:
    async with serving(answer) as server, rooms_at(server.url, PARENT_KEY) as rooms:
        with pytest.raises(ApplicationError) as caught:
            await open_for(rooms, ("research", "5"))
    assert caught.value.type == expected.value
    assert PARENT_KEY not in caught.value.message


async def test_a_wrong_parent_key_is_unauthorized(upstream: ScriptedUpstream) -> None:
    async with (
        running_gateway(upstream.url) as gateway,
        rooms_at(gateway.base_url, "another-key-0123456789") as rooms,
    ):
        with pytest.raises(ApplicationError) as caught:
            await open_for(rooms, ("research", "5"))
    assert caught.value.type == ErrorType.UNAUTHORIZED.value


async def test_the_gateways_prices_are_read(rooms: Rooms) -> None:
    catalog = await context().run(rooms.accounts.read_models, ReadModels())
    assert (catalog.priced, catalog.default_model) == (True, "m")
    model = next(model for model in catalog.models if model.model == "smollm2-135m")
    assert (model.input_usd, model.output_usd) == (Decimal("0.5"), Decimal(2))
    assert model.context_tokens == 8192


async def test_of_a_long_list_a_run_gets_the_models_that_it_names(
    upstream: ScriptedUpstream,
) -> None:
    keys = {"OPENAI_API_KEY": "k", "OPENROUTER_API_KEY": "k", "OLLAMA_URL": upstream.url}
    named = ("gpt-5-mini", "ollama/llama3.2", "gpt-5-mni", "gemini-2.5-pro")
    async with (
        running_gateway(upstream.url, environment=keys) as gateway,
        rooms_at(gateway.base_url, PARENT_KEY) as rooms,
    ):
        catalog = await context().run(rooms.accounts.read_models, ReadModels(names=named))
    assert catalog.partial
    found = {each.model: each for each in catalog.models}
    assert set(found) == {"gpt-5-mini", "ollama/llama3.2", "m"}, "and the default model"
    assert found["gpt-5-mini"].upstream == "openai"
    assert found["ollama/llama3.2"].output_usd == 0
    missing = {each.model: each for each in catalog.unavailable}
    assert missing["gemini-2.5-pro"].needs == "GEMINI_API_KEY"
    assert "gpt-5-mini" in missing["gpt-5-mni"].nearest
    assert len(catalog.model_dump_json()) < 4_000


async def test_a_guarded_list_is_read_with_the_parent_key() -> None:
    def guarded(seen: Seen) -> Answer:
        if seen.headers.get("Authorization") != f"Bearer {PARENT_KEY}":
            return 401, {}, b"{}"
        return reply(data=[{"id": "m1"}, {"no": "id"}, 7])

    async with serving(guarded) as server, rooms_at(server.url, PARENT_KEY) as rooms:
        catalog = await context().run(rooms.accounts.read_models, ReadModels())
    assert [model.model for model in catalog.models] == ["m1"]
    assert not catalog.priced


@pytest.mark.parametrize("status", [401, 403, 404, 405])
async def test_an_endpoint_without_a_list_is_an_unpriced_catalog(status: int) -> None:
    async with serving((status, {}, b"")) as server, rooms_at(server.url, PARENT_KEY) as rooms:
        catalog = await context().run(rooms.accounts.read_models, ReadModels())
    assert (catalog.models, catalog.priced, catalog.default_model) == ((), False, "m")


async def test_a_list_that_cannot_be_had_now_is_asked_for_again() -> None:
    async with serving((503, {}, b"")) as server, rooms_at(server.url, PARENT_KEY) as rooms:
        with pytest.raises(ApplicationError) as caught:
            await context().run(rooms.accounts.read_models, ReadModels())
    assert caught.value.type == ErrorType.UPSTREAM_UNAVAILABLE.value
    assert not caught.value.non_retryable
