"""The paid call at the real gateway, with the scripted upstream behind it."""

import asyncio
import itertools
import json
from decimal import Decimal

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError

from activities.calls.call_agent import Agents
from durable_agent_team.atxp.sealing import Sealer, generate_sealing_key
from durable_agent_team.contracts.accounts import CloseAccounts
from durable_agent_team.contracts.call import MAX_ANSWER, AccountRef, Rejected, Source
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.team import Checks
from tests.activities.support import (
    SEALER,
    Rooms,
    agents_at,
    call,
    context,
    open_for,
    serving,
    spend_of,
)
from tests.support.upstream import Rule, ScriptedUpstream


async def one_account(rooms: Rooms, budget: str = "1") -> AccountRef:
    return (await open_for(rooms, ("research", budget))).accounts[0]


async def spent(rooms: Rooms, account: AccountRef) -> Decimal:
    state = await rooms.provider.read(account.account_id)
    assert state.spent_usd is not None
    return state.spent_usd


async def test_an_answer_comes_back_with_its_exact_price(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    upstream.add(Rule(text="Demand rose.", usage={"prompt_tokens": 30, "completion_tokens": 4}))
    account = await one_account(rooms)
    result = await context().run(rooms.agents.call_agent, call(account=account))
    assert (result.answer, result.reasons) == ("Demand rose.", ())
    assert result.cost_usd == Decimal("0.000038"), "30 in at 1, 4 out at 2 micro-dollars"
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (30, 4)
    assert not result.estimated
    assert not result.replayed
    assert await spent(rooms, account) == result.cost_usd


async def test_only_what_differs_from_the_defaults_is_set(rooms: Rooms) -> None:
    account = await one_account(rooms)
    result = await context().run(rooms.agents.call_agent, call(account=account))
    unwanted = {"reasons", "estimated", "replayed", "failed_attempts_usd"}
    assert not unwanted & result.model_fields_set


async def test_a_missing_usage_is_the_worst_case_and_says_so(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    upstream.add(Rule(usage="missing"))
    account = await one_account(rooms)
    result = await context().run(rooms.agents.call_agent, call(account=account))
    assert result.estimated
    assert result.cost_usd == await spent(rooms, account) > 0


async def test_the_client_times_out_and_the_next_attempt_gets_the_stored_answer(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    upstream.add(Rule(text="slow but sure", latency=1.5))
    account = await one_account(rooms)
    with pytest.raises(ApplicationError) as caught:
        await context(timeout=0.5).run(rooms.agents.call_agent, call(account=account))
    assert caught.value.type == ErrorType.UPSTREAM_TIMEOUT.value
    assert not caught.value.non_retryable
    again = context(attempt=2, timeout=20)
    result = await again.run(rooms.agents.call_agent, call(account=account))
    assert (result.answer, result.replayed or upstream.count == 1) == ("slow but sure", True)
    assert upstream.count == 1, "paid upstream once"
    assert await spent(rooms, account) == result.cost_usd, "charged once"


async def test_a_finished_call_is_replayed_not_repeated(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    account = await one_account(rooms)
    first = await context().run(rooms.agents.call_agent, call(account=account))
    second = await context(attempt=2).run(rooms.agents.call_agent, call(account=account))
    assert second.replayed
    assert (second.answer, second.cost_usd) == (first.answer, first.cost_usd)
    assert upstream.count == 1
    assert await spent(rooms, account) == first.cost_usd


async def test_the_same_key_with_another_body_is_refused(rooms: Rooms) -> None:
    account = await one_account(rooms)
    await context().run(rooms.agents.call_agent, call(account=account))
    with pytest.raises(ApplicationError) as caught:
        await context().run(rooms.agents.call_agent, call(account=account, ask="Other."))
    assert caught.value.type == ErrorType.KEY_CONFLICT.value


async def test_an_exhausted_account_refuses_with_both_figures_and_asks_nobody(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    account = await one_account(rooms, "0.000010")
    with pytest.raises(ApplicationError) as caught:
        await context().run(rooms.agents.call_agent, call(account=account))
    assert caught.value.type == ErrorType.BUDGET_EXHAUSTED.value
    assert caught.value.non_retryable
    spend = spend_of(caught.value)
    assert spend.remaining_usd == Decimal("0.000010")
    assert spend.required_usd is not None
    assert spend.required_usd > spend.remaining_usd
    assert upstream.count == 0


async def test_money_that_calls_in_flight_hold_is_waited_for(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    upstream.add(Rule(latency=2, times=1))
    account = await one_account(rooms, "0.000800")
    first = asyncio.ensure_future(context().run(rooms.agents.call_agent, call(account=account)))
    while upstream.in_flight == 0:
        await asyncio.sleep(0.01)
    other = call(account=account, idempotency_key="call-2")
    with pytest.raises(ApplicationError) as caught:
        await context().run(rooms.agents.call_agent, other)
    assert caught.value.type == ErrorType.BUDGET_RESERVED.value
    await first
    await context().run(rooms.agents.call_agent, other)


async def test_a_disabled_account_and_an_unpriced_model_are_told_apart(rooms: Rooms) -> None:
    account = await one_account(rooms)
    with pytest.raises(ApplicationError) as caught:
        await context().run(rooms.agents.call_agent, call(account=account, model="unheard-of"))
    assert caught.value.type == ErrorType.UNPRICED_MODEL.value
    await rooms.provider.close(account.account_id, None)
    with pytest.raises(ApplicationError) as caught:
        await context().run(rooms.agents.call_agent, call(account=account))
    assert caught.value.type == ErrorType.ACCOUNT_DISABLED.value


async def test_a_failed_check_is_a_result_and_its_repair_a_new_call(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    upstream.add(Rule(text="Short.", times=1), Rule(text="Long enough now."))
    account = await one_account(rooms)
    asked = call(account=account, checks=Checks(min_length=10))
    failed = await context().run(rooms.agents.call_agent, asked)
    assert failed.reasons == ("The answer has 6 characters; at least 10 are asked for.",)
    assert failed.cost_usd > 0
    rejected = Rejected(answer=failed.answer, reasons=failed.reasons)
    repair = asked.model_copy(update={"rejected": rejected, "idempotency_key": "call-2"})
    repaired = await context().run(rooms.agents.call_agent, repair)
    assert repaired.reasons == ()
    assert failed.reasons[0] in upstream.requests[-1].text
    assert await spent(rooms, account) == failed.cost_usd + repaired.cost_usd


async def test_a_fenced_answer_is_handed_on_as_json(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    upstream.add(Rule(text='```json\n{"n": 1}\n```'))
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    account = await one_account(rooms)
    result = await context().run(rooms.agents.call_agent, call(account=account, output=schema))
    assert (json.loads(result.answer), result.reasons) == ({"n": 1}, ())


async def test_findings_are_held_to_the_sources_and_checked_against_them(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    source = Source(name="market.md", text="Demand rose by a tenth in 2024. Prices fell sharply.")
    account = await one_account(rooms)
    asked = call(
        account=account,
        sources=(source,),
        output="findings",
        checks=Checks(quotes_exist_in="inputs"),
    )
    result = await context().run(rooms.agents.call_agent, asked)
    quote = json.loads(result.answer)["findings"][0]["quote"]
    assert (quote, result.reasons) == ("Demand rose by a tenth in 2024.", ())


async def test_an_answer_beyond_the_limit_is_cut_billed_and_rejected(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    upstream.add(Rule(text="x" * (MAX_ANSWER + 5)))
    account = await one_account(rooms)
    result = await context().run(rooms.agents.call_agent, call(account=account))
    assert len(result.answer) == MAX_ANSWER
    assert result.reasons
    assert result.cost_usd == await spent(rooms, account)


async def test_an_invalid_output_schema_fails_before_anything_is_paid(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    account = await one_account(rooms)
    with pytest.raises(ApplicationError) as caught:
        await context().run(
            rooms.agents.call_agent, call(account=account, output={"type": "strange"})
        )
    assert caught.value.type == ErrorType.BAD_REQUEST.value
    assert caught.value.non_retryable
    assert upstream.count == 0


async def test_another_sealing_key_is_told_by_name_and_another_worker_may_try(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    account = await one_account(rooms)
    stranger = Agents(rooms.agents._chat, Sealer(generate_sealing_key()))
    with pytest.raises(ApplicationError) as caught:
        await context().run(stranger.call_agent, call(account=account))
    assert caught.value.type == ErrorType.SEALING_KEY_MISMATCH.value
    assert not caught.value.non_retryable
    assert "SEALING_KEY" in caught.value.message
    assert upstream.count == 0


@pytest.mark.parametrize("disconnect", ["before", "middle"])
async def test_a_connection_that_breaks_is_retried(disconnect: str) -> None:
    async with ScriptedUpstream() as upstream, agents_at(upstream.url) as agents:
        upstream.add(Rule(disconnect=disconnect))  # type: ignore[arg-type]
        with pytest.raises(ApplicationError) as caught:
            await context().run(agents.call_agent, call())
    assert caught.value.type == ErrorType.UPSTREAM_UNAVAILABLE.value
    assert not caught.value.non_retryable


async def test_nobody_at_the_address_is_retried_and_says_where() -> None:
    async with serving((200, {}, b"")) as server:
        url = server.url
    async with agents_at(url) as agents:
        with pytest.raises(ApplicationError) as caught:
            await context().run(agents.call_agent, call())
    assert caught.value.type == ErrorType.UPSTREAM_UNAVAILABLE.value
    assert "127.0.0.1:" in caught.value.message


async def test_the_http_timeout_comes_before_temporals() -> None:
    async with serving((200, {}, b"{}"), latency=15) as server, agents_at(server.url) as agents:
        before = asyncio.get_running_loop().time()
        with pytest.raises(ApplicationError) as caught:
            await context(timeout=4).run(agents.call_agent, call())
        assert asyncio.get_running_loop().time() - before < 4
    assert caught.value.type == ErrorType.UPSTREAM_TIMEOUT.value


async def test_it_beats_while_it_waits_with_what_was_spent() -> None:
    beats: list[tuple[object, ...]] = []
    async with ScriptedUpstream([Rule(latency=1)]) as upstream, agents_at(upstream.url) as agents:
        environment = context(heartbeat=0.3, attempt=2, details=({"spent_usd": "0.25"},))
        environment.on_heartbeat = lambda *details: beats.append(details)
        result = await environment.run(agents.call_agent, call())
    assert len(beats) >= 4
    assert all(beat[0].spent_usd == Decimal("0.25") for beat in beats)  # type: ignore[attr-defined]
    assert result.failed_attempts_usd == Decimal("0.25")


async def cancelled(details: ActivityCancellationDetails, spent_before: str = "0") -> BaseException:
    """What a call raises that is cancelled so while it waits for its answer."""
    async with ScriptedUpstream([Rule(latency=30)]) as upstream, agents_at(upstream.url) as agents:
        environment = context(attempt=2, details=({"spent_usd": spent_before},))
        running = asyncio.ensure_future(environment.run(agents.call_agent, call()))
        while upstream.in_flight == 0:
            await asyncio.sleep(0.01)
        environment.cancel(details)
        done, _ = await asyncio.wait([running], timeout=10)
        assert done, "it must not wait for the answer"
        try:
            running.result()
        except BaseException as error:
            return error
    raise AssertionError("the cancelled call returned")


async def test_a_wish_to_cancel_is_a_cancellation() -> None:
    error = await cancelled(ActivityCancellationDetails(cancel_requested=True))
    assert isinstance(error, asyncio.CancelledError)


async def test_a_wish_to_cancel_does_not_lose_what_was_billed_before() -> None:
    error = await cancelled(ActivityCancellationDetails(cancel_requested=True), "0.25")
    assert isinstance(error, ApplicationError)
    assert error.non_retryable
    assert spend_of(error).spent_usd == Decimal("0.25")


async def test_a_workers_end_is_retried_elsewhere() -> None:
    error = await cancelled(ActivityCancellationDetails(worker_shutdown=True))
    assert isinstance(error, ApplicationError)
    assert not error.non_retryable
    assert "shut down" in error.message


@pytest.mark.parametrize("what", ["paused", "reset", "timed_out", "not_found"])
async def test_other_cancellations_are_left_to_temporal(what: str) -> None:
    error = await cancelled(ActivityCancellationDetails(**{what: True}))
    assert isinstance(error, asyncio.CancelledError)


async def test_one_agent_burns_its_account_and_the_other_is_untouched(rooms: Rooms) -> None:
    opened = await open_for(rooms, ("research", "0.0006"), ("editor", "0.5"))
    poor, rich = opened.accounts

    async def loop_forever() -> None:
        for number in itertools.count():
            asked = call(account=poor, idempotency_key=f"call-{number}")
            await context().run(rooms.agents.call_agent, asked)

    with pytest.raises(ApplicationError) as caught:
        await asyncio.wait_for(loop_forever(), 30)
    assert caught.value.type == ErrorType.BUDGET_EXHAUSTED.value
    assert await spent(rooms, rich) == 0
    assert Decimal(0) < await spent(rooms, poor) <= Decimal("0.0006")
    order = CloseAccounts(accounts=opened.accounts, known={}, capabilities=opened.capabilities)
    ledgers = (await context().run(rooms.accounts.close_accounts, order)).ledgers
    assert sum(line.amount_usd for line in ledgers[0].charges) == ledgers[0].spent_usd


def test_a_sealed_key_shows_nothing() -> None:
    assert "sealed_key" not in repr(call())
    assert SEALER.fingerprint in repr(SEALER)


async def test_half_a_surrogate_pair_in_an_answer_is_replaced(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    upstream.add(Rule(text="An oak \ud83c is a tree."))
    account = await one_account(rooms)
    result = await context().run(rooms.agents.call_agent, call(account=account))
    assert result.reasons == ()
    assert result.answer.encode().startswith(b"An oak ")


async def test_an_answer_that_cannot_be_checked_in_time_is_a_result_with_its_cost(
    rooms: Rooms, upstream: ScriptedUpstream
) -> None:
    upstream.add(
        Rule(text='{"name": "Bartholomew Maximilian Featherstonehaugh the elder of the 2nd"}')
    )
    schema = {"properties": {"name": {"type": "string", "pattern": r"^([a-zA-Z]+\s?)+$"}}}
    account = await one_account(rooms)
    beats: list[object] = []
    environment = context(timeout=60, heartbeat=0.9)
    environment.on_heartbeat = lambda *details: beats.append(details)
    result = await environment.run(rooms.agents.call_agent, call(account=account, output=schema))
    assert "could not be checked within 3 s" in result.reasons[0]
    assert result.cost_usd == await spent(rooms, account) > 0
    assert len(beats) >= 5  # every 0.3 s for 3 s: the server does not lose the worker
