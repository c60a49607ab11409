"""What an endpoint tells of itself: taken where it is well-formed, never invented."""

import json
from decimal import Decimal
from typing import Any

import pytest

from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.base import count_of, decimal_of
from durable_agent_team.contracts.model_catalog import ModelPrice
from durable_agent_team.contracts.provider_info import (
    MAX_MODELS,
    catalog_of,
    declared_capabilities,
    has_scopes,
    max_call_seconds,
    model_prices,
)


def listed(*lines: Any) -> tuple[ModelPrice, ...] | None:
    text = json.dumps({"data": lines})
    return model_prices(json.loads(text, parse_float=Decimal))


def test_prices_are_exact_and_other_shapes_give_the_name_alone() -> None:
    pricing = {"input_usd_per_million": 0.1, "output_usd_per_million": "2"}
    ours = {"id": "m", "pricing": pricing, "context_tokens": 8192}
    price = ModelPrice(
        model="m", input_usd=Decimal("0.1"), output_usd=Decimal(2), context_tokens=8192
    )
    assert listed(ours, {"id": "other", "owned_by": "somebody"}) == (
        price,
        ModelPrice(model="other"),
    )


@pytest.mark.parametrize("line", [None, "m", 7, [], {}, {"id": None}, {"name": "m"}])
def test_a_line_without_a_name_is_passed_over(line: Any) -> None:
    assert listed(line, {"id": "m"}) == (ModelPrice(model="m"),)


@pytest.mark.parametrize("context", [0, -1, "8192", None, 1.5])
def test_no_context_is_made_up(context: Any) -> None:
    assert listed({"id": "m", "context_tokens": context}) == (ModelPrice(model="m"),)


@pytest.mark.parametrize("body", [None, [], "data", {}, {"data": None}, {"data": {"id": "m"}}])
def test_without_a_list_there_is_none(body: Any) -> None:
    assert model_prices(body) is None


def test_a_list_without_end_is_cut() -> None:
    found = listed(*({"id": f"m{n}"} for n in range(MAX_MODELS + 5)))
    assert found is not None
    assert len(found) == MAX_MODELS


@pytest.mark.parametrize(
    ("input_usd", "output_usd", "priced"),
    [(None, None, False), (1, None, False), (None, 1, False), (1, 1, True), (0, 0, True)],
)
def test_a_catalog_is_priced_where_one_model_has_both_prices(
    input_usd: Any, output_usd: Any, priced: bool
) -> None:
    models = (
        ModelPrice(model="free"),
        ModelPrice(model="m", input_usd=input_usd, output_usd=output_usd),
    )
    catalog = catalog_of(models, "m")
    assert catalog.max_call_seconds is None
    assert (catalog.models, catalog.default_model, catalog.priced) == (models, "m", priced)


@pytest.mark.parametrize(
    "value", [None, True, 0.3, -1, "-1", "NaN", "Infinity", Decimal("-0.1"), "much", {}, []]
)
def test_what_is_no_amount_is_none(value: Any) -> None:
    assert decimal_of(value) is None


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        ({"max_call_seconds": 120}, 120.0),
        ({"max_call_seconds": Decimal("2.5")}, 2.5),
        ({"max_call_seconds": 0}, None),
        ({"max_call_seconds": "long"}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_the_limit_of_a_call_is_known_where_it_is_told(limits: Any, seconds: float | None) -> None:
    assert max_call_seconds({"data": [], "limits": limits}) == seconds
    assert catalog_of((), None, seconds).max_call_seconds == seconds


@pytest.mark.parametrize(
    ("page", "scopes"),
    [
        ({"capabilities": {"replay": True, "scopes": True}}, True),
        ({"capabilities": {"replay": True, "scopes": False}}, False),
        ({"capabilities": {"replay": True, "scopes": "yes"}}, False),
        ({"capabilities": {"replay": True}}, None),
        ({"capabilities": []}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_provider_has_scopes_where_it_says_so(page: Any, scopes: bool | None) -> None:
    """One that declares nothing is not our gateway; an older gateway of ours may have them."""
    assert has_scopes(page) is scopes
    assert catalog_of((), None, None, scopes).scopes is scopes


@pytest.mark.parametrize("value", [None, "many", -1, "1e999999", 10**12, []])
def test_what_is_no_count_counts_nothing(value: Any) -> None:
    assert count_of(value) == 0
    assert count_of("2") == 2


@pytest.mark.parametrize(
    ("value", "amount"), [(3, "3"), ("0.30", "0.30"), (Decimal("0.1"), "0.1"), ("1e-3", "0.001")]
)
def test_amounts_are_exact(value: Any, amount: str) -> None:
    assert decimal_of(value) == Decimal(amount)


def test_a_promise_holds_only_where_it_is_declared() -> None:
    assert declared_capabilities(None) == Capabilities(hard_limit=True)
    declared = declared_capabilities({"ledger": True, "replay": "yes", "magic": True})
    assert declared == Capabilities(hard_limit=False, ledger=True)


def test_a_model_without_tools_is_known_by_its_dialect_or_as_the_bundled_one() -> None:
    lines = [
        {"id": "a", "dialect": {"tools": "none"}},
        {"id": "b", "dialect": {"tools": "native"}},
        {"id": "c"},
        {"id": "smollm2-135m", "dialect": {"thinking": "none"}},
        {"id": "smollm2-135m", "dialect": {"tools": "native"}},
    ]
    found = model_prices({"data": lines})
    assert found is not None
    assert [each.tools for each in found] == ["none", None, None, "none", None]
