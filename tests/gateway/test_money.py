"""Amounts are exact and rounded up once; and the price file."""

import json
from decimal import ROUND_CEILING, Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.gateway.amounts import MAX_MICRO, parse_usd, usd, usd_text
from durable_agent_team.gateway.models.price import Price
from durable_agent_team.gateway.models.price_file import DEFAULT_PRICE_FILE, PriceError, Prices

micro = st.integers(0, MAX_MICRO)
prices = st.decimals(0, 1000, places=9)


@given(micro)
def test_amounts_round_trip_exactly(amount: int) -> None:
    printed = json.dumps(usd(amount))
    assert Decimal(printed) == Decimal(amount) / 10**6
    assert parse_usd(json.loads(printed, parse_float=Decimal), "x") == amount
    assert parse_usd(usd_text(amount), "x") == amount


@pytest.mark.parametrize(
    "value", [None, True, -1, "x", "", "NaN", "Infinity", "1e-7", 10**10, Decimal("0.1234567"), []]
)
def test_an_invalid_amount_is_refused_with_its_field(value: object) -> None:
    with pytest.raises(ValueError, match="`budget`"):
        parse_usd(value, "`budget`")


@given(prices, prices, st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_cost_is_the_exact_sum_rounded_up(
    price_in: Decimal, price_out: Decimal, tokens_in: int, tokens_out: int
) -> None:
    price = Price(input_usd_per_million=price_in, output_usd_per_million=price_out)
    exact = price_in * tokens_in + price_out * tokens_out  # micro-USD
    assert price.cost(tokens_in, tokens_out) == int(exact.to_integral_value(ROUND_CEILING))


@given(prices, prices, st.integers(1, 10**5), st.integers(1, 50), st.integers(1, 10**5), st.data())
def test_no_permitted_usage_costs_more_than_the_bound(
    price_in: Decimal, price_out: Decimal, size: int, messages: int, limit: int, data: st.DataObject
) -> None:
    price = Price(input_usd_per_million=price_in, output_usd_per_million=price_out)
    tokens_in = data.draw(st.integers(0, size + 16 * messages + 64))
    tokens_out = data.draw(st.integers(0, limit))
    assert price.cost(tokens_in, tokens_out) <= price.bound(size, messages, limit)


def test_the_default_price_file_prices_the_bundled_model() -> None:
    price = Prices.load(DEFAULT_PRICE_FILE).models["smollm2-135m"]
    assert price.cost(1000, 100) > 0
    assert price.context_tokens == 8192
    assert "demonstration" in price.note


def test_the_lines_to_add_ask_for_prices_and_cannot_be_used_without(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(DEFAULT_PRICE_FILE.read_text())
    name = 'vendor/"odd\\name"'
    lines = Prices.load(path).lines_to_add(name)
    path.write_text(DEFAULT_PRICE_FILE.read_text() + "\n" + lines)
    with pytest.raises(PriceError, match=r"input_usd_per_million = \?"):
        Prices.load(path)
    path.write_text(path.read_text().replace('"?"', "1.5"))
    assert name in Prices.load(path).models


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must contain tables"),
        ("x = 1", "must contain tables"),
        ("[models", "is not TOML"),
        ("[models.a]\ninput_usd_per_million = 1", "output_usd_per_million"),
        (
            "[models.a]\ninput_usd_per_million = -1\noutput_usd_per_million = 1",
            "input_usd_per_million",
        ),
        (
            "[models.a]\ninput_usd_per_million = 1\noutput_usd_per_million = 1\nprice = 1",
            "price",
        ),
    ],
)
def test_a_wrong_price_file_is_reported_with_path_and_key(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(PriceError) as error:
        Prices.load(path)
    assert says in str(error.value)
    assert str(path) in str(error.value)
