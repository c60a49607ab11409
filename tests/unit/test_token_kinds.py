"""Tokens by kind and what caching saved, from the gateway's answer to what people read; and the
worst case of a price with many kinds, which is the gateway's."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.calls.spans import kinds
from durable_agent_team.atxp.account_api import _charge
from durable_agent_team.atxp.pricing import priced_cost, usage_of
from durable_agent_team.cli.ui.spend_table import money_notes
from durable_agent_team.cli.ui.token_text import saved_text, tokens_cell
from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.call import CallResult, Usage
from durable_agent_team.contracts.ledger import Charge, Ledger
from durable_agent_team.contracts.model_catalog import ModelPrice
from durable_agent_team.contracts.provider_info import model_prices
from durable_agent_team.contracts.spend import AgentSpend, LedgerAgreement, SpendReport, Totals
from durable_agent_team.gateway.api.response_shapes import Pricing
from durable_agent_team.gateway.models.price import Price
from durable_agent_team.rules.bounds import (
    MESSAGE_ALLOWANCE_TOKENS,
    MESSAGES_PER_CALL,
    worst_case_usd,
)
from durable_agent_team.rules.encoded_size import encoded_bytes
from tests.gateway.test_token_prices import ALL_KINDS, CACHED, ENTRY, LONG, PEAK
from workflows.state.agent_account import AgentAccount
from workflows.state.charges import Use

SAVED = Decimal("0.019125")
TOLD = {
    "prompt_tokens": 17111,
    "completion_tokens": 300,
    "total_tokens": 17411,
    "prompt_tokens_details": {"cached_tokens": 17000, "cache_write_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 94},
    "saved_usd": SAVED,
}
USED = Usage(
    prompt_tokens=17111,
    completion_tokens=300,
    cached_tokens=17000,
    cache_write_tokens=10,
    reasoning_tokens=94,
    saved_usd=SAVED,
)


def test_the_worker_reads_the_kinds_that_the_gateway_tells() -> None:
    assert usage_of({"usage": TOLD}) == USED
    plain = {"prompt_tokens": 5, "completion_tokens": 2}
    assert usage_of({"usage": plain}).model_fields_set == {"prompt_tokens", "completion_tokens"}
    assert usage_of({"usage": {**plain, "total_tokens": 10}}).completion_tokens == 5
    assert usage_of({"usage": {**plain, "prompt_tokens_details": [1], "saved_usd": "x"}}) == Usage(
        **plain
    )


def test_a_charge_of_the_ledger_has_its_kinds() -> None:
    line = {
        "amount": Decimal("0.005264"),
        "prompt_tokens": 17111,
        "completion_tokens": 300,
        "cached_tokens": 17000,
        "saved_usd": Decimal("-0.5"),
        "price_source": "genai-prices 0.2.3",
    }
    charge = _charge(line)
    assert (charge.cached_tokens, charge.saved_usd) == (17000, Decimal("-0.5"))
    assert charge.price_source == "genai-prices 0.2.3"
    assert "cached_tokens" not in _charge({"amount": 1}).model_fields_set


def account(*used: Usage) -> AgentAccount:
    found = AgentAccount("a", "m", Decimal(10))
    for number, usage in enumerate(used):
        found.begin(str(number), Decimal(1))
        answer = CallResult(
            cost_usd=Decimal(1), usage=usage, started_at=datetime(2026, 1, 1, tzinfo=UTC), seconds=1
        )
        found.settle(str(number), answer, Use.USEFUL)
    return found


def test_a_run_adds_up_kinds_and_savings_and_leaves_zeros_out() -> None:
    cost_more = Usage(prompt_tokens=9, completion_tokens=1, saved_usd=Decimal("-0.000125"))
    report = account(USED, USED, cost_more).report()
    assert (report.cached_tokens, report.cache_write_tokens) == (34000, 20)
    assert (report.reasoning_tokens, report.saved_usd) == (188, Decimal("0.038125"))
    total = Totals.of([report, report])
    assert (total.cached_tokens, total.saved_usd) == (68000, Decimal("0.07625"))
    plain = account(Usage(prompt_tokens=9, completion_tokens=1)).report()
    assert not {"cached_tokens", "reasoning_tokens", "saved_usd"} & plain.model_fields_set
    assert not {"cached_tokens", "saved_usd"} & Totals.of([plain]).model_fields_set
    assert (
        b"cached"
        not in AgentSpend.model_validate(plain).model_dump_json(exclude_unset=True).encode()
    )
    assert encoded_bytes(plain) < encoded_bytes(report)


def test_a_charge_that_is_read_back_counts_by_kind() -> None:
    found = account()
    found.begin("k", Decimal(1))
    found.fail("k", Decimal(0), may_be_billed=True)
    charge = Charge(idempotency_key="k", amount_usd=Decimal(1), **USED.model_dump())
    ledger = Ledger(
        agent="a", account_id="x", status="active", budget_usd=Decimal(10), spent_usd=Decimal(1),
        charges=(charge,),
    )  # fmt: skip
    found.read_back(ledger)
    assert (found.report().cached_tokens, found.report().saved_usd) == (17000, SAVED)


def test_people_read_kinds_and_savings_where_there_are_any() -> None:
    assert tokens_cell(USED) == "17111+300 (17000 cached, 10 written to the cache, 94 thinking)"
    assert tokens_cell(Usage(prompt_tokens=5, completion_tokens=1)) == "5+1"
    assert saved_text(SAVED) == "caching saved 0.019125 USD"
    assert saved_text(Decimal("-0.000216")) == "caching cost 0.000216 USD more than it saved"
    assert saved_text(Decimal(0)) == ""
    report = account(USED).report()
    notes = money_notes(
        SpendReport(
            workflow_id="r", agents=(report,), total=Totals.of([report]), ledger_usd=None,
            ledger_agrees=LedgerAgreement.OPEN, capabilities=Capabilities(replay=True, ledger=True),
        )
    )  # fmt: skip
    assert "of the tokens: 17000 cached, 10 written to the cache, 94 thinking" in notes
    assert "caching saved 0.019125 USD" in notes


def test_a_span_has_the_kinds_that_are_not_zero() -> None:
    assert kinds(USED) == {
        "gen_ai.usage.cache_read.input_tokens": 17000,
        "gen_ai.usage.cache_creation.input_tokens": 10,
        "gen_ai.usage.reasoning.output_tokens": 94,
        "saved_usd": 0.019125,
    }
    assert kinds(Usage(prompt_tokens=5, completion_tokens=1)) == {}


def told(price: Price) -> ModelPrice:
    """As a worker reads it from the gateway."""
    shape = Pricing.model_validate(price.model_dump(mode="json", include=set(Pricing.model_fields)))
    line = {"id": "m", "pricing": shape.model_dump(by_alias=True)}
    page = json.loads(json.dumps({"data": [line]}), parse_float=Decimal)
    [model] = model_prices(page) or ()
    return model


def test_a_price_of_two_kinds_stays_small_in_a_history() -> None:
    plain = told(Price(input_usd_per_million=Decimal(1), output_usd_per_million=Decimal(2)))
    assert not {"dearest_input_usd", "tiers", "request_usd", "cached_input_usd"} & (
        plain.model_fields_set
    )


@settings(max_examples=40, deadline=None)
@given(ENTRY, st.integers(0, 8_000), st.integers(0, 8_000))
def test_the_workers_worst_case_is_the_gateways(price: Price, prompt: int, output: int) -> None:
    most = told(price).most_usd(prompt, output)
    assert most is not None
    bound = price.most(prompt, output)
    assert bound - 1 < most * 10**6 + Decimal("0.001")
    if not any(each.usd_per_request for each in (price, *price.tiers)):
        assert most * 10**6 - Decimal("0.001") <= bound


HOURS = {**PEAK, "periods": PEAK["periods"][:2]}  # type: ignore[index]


@pytest.mark.parametrize("entry", [ALL_KINDS, LONG, CACHED, HOURS])
def test_the_worst_case_is_at_the_highest_price(entry: dict[str, Any]) -> None:
    price = Price.model_validate(entry)
    prompt = 300_000 + MESSAGE_ALLOWANCE_TOKENS * MESSAGES_PER_CALL
    assert worst_case_usd(300_000, 1_000, told(price)) == Decimal(price.most(prompt, 1_000)).scaleb(
        -6
    )


def test_a_direct_endpoint_without_costs_is_priced_by_kind() -> None:
    model = told(Price.model_validate(CACHED))
    cost = priced_cost(
        usage_of({"usage": {**TOLD, "prompt_tokens_details": {"cached_tokens": 17000}}}), model
    )
    assert cost is not None
    assert (cost.usd, cost.estimated) == (Decimal("0.005264"), False)
    long = priced_cost(
        Usage(prompt_tokens=250_000, completion_tokens=1_000), told(Price.model_validate(LONG))
    )
    assert long is not None
    assert long.usd == Decimal("1.012")
