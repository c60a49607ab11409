"""What a call cost: the order of the places that tell it, and never free when unknown."""

import json
from decimal import Decimal
from typing import Any

import pytest

from durable_agent_team.atxp.pricing import (
    HIGHEST_PRICE,
    priced_cost,
    reported_cost,
    usage_of,
    worst_case,
)
from durable_agent_team.atxp.transport import parse_json
from durable_agent_team.contracts.base import decimal_of
from durable_agent_team.contracts.call import Usage
from durable_agent_team.contracts.model_catalog import ModelPrice
from tests.activities.support import Answer, Seen, agents_at, call, context, serving

PRICE = ModelPrice(model="m", input_usd=Decimal("0.5"), output_usd=Decimal(2))

EVERYWHERE: dict[str, Any] = {
    "_meta": {"cascade": {"cost_usd": "0.000001"}},
    "cost_usd": "0.000002",
    "cost": "0.000003",
    "usage": {"cost": "0.000004", "cost_usd": "0.000005"},
}


def test_the_places_are_believed_in_their_order() -> None:
    body = json.loads(json.dumps(EVERYWHERE))
    found = []
    for path in (["_meta"], ["cost_usd"], ["cost"], ["usage", "cost"], ["usage", "cost_usd"]):
        told = reported_cost(body)
        assert told is not None
        found.append(told.usd)
        holder = body if len(path) == 1 else body["usage"]
        del holder[path[-1]]
    assert found == [Decimal(n).scaleb(-6) for n in (1, 2, 3, 4, 5)]
    assert reported_cost(body) is None


@pytest.mark.parametrize("cost", ["0", "0.0", "-1", "null", "true", '"x"', "[]", "1e99", '"NaN"'])
def test_what_is_no_cost_or_zero_is_unknown(cost: str) -> None:
    assert reported_cost(parse_json(b'{"cost": %s}' % cost.encode())) is None
    body = parse_json(b'{"cost": %s, "usage": {"cost": 0.5}}' % cost.encode())
    told = reported_cost(body)
    assert told is not None
    assert told.usd == Decimal("0.5")


def test_costs_are_exact_and_rounded_up_to_a_micro_dollar() -> None:
    told = reported_cost(parse_json(b'{"cost": 0.1234560000000000001}'))
    assert told is not None
    assert told.usd == Decimal("0.123457")
    exact = reported_cost(parse_json(b'{"cost": 0.3}'))
    assert exact is not None
    assert exact.usd == Decimal("0.3")
    assert decimal_of(0.3) is None, "a float has lost the money already"


def test_tokens_times_price_are_rounded_up_once() -> None:
    cost = priced_cost(Usage(prompt_tokens=1, completion_tokens=1), PRICE)
    assert cost is not None
    assert (cost.usd, cost.estimated) == (Decimal("0.000003"), False)
    assert priced_cost(Usage(prompt_tokens=0, completion_tokens=1), PRICE) is None
    assert priced_cost(Usage(prompt_tokens=1, completion_tokens=1), None) is None
    assert priced_cost(Usage(prompt_tokens=1, completion_tokens=1), ModelPrice(model="m")) is None


def test_the_worst_case_knows_the_model_the_list_or_the_highest_price() -> None:
    dear = ModelPrice(model="dear", input_usd=Decimal(10), output_usd=Decimal(10))
    own = worst_case(1_000, 100, "m", (PRICE, dear))
    assert (own.usd, own.estimated) == (Decimal("0.000700"), True)
    assert worst_case(1_000, 100, "other", (PRICE, dear)).usd == Decimal("0.011")
    assert HIGHEST_PRICE.input_usd is not None
    assert worst_case(1_000, 100, "m", ()).usd == Decimal("0.21")


@pytest.mark.parametrize("usage", [None, "x", {}, {"prompt_tokens": -1}, {"prompt_tokens": "9"}])
def test_a_usage_that_is_none_counts_nothing(usage: Any) -> None:
    assert usage_of({"usage": usage}) == Usage()


def endpoint(usage: dict[str, Any] | None, models: Answer) -> Any:
    """A foreign endpoint that tells no cost, with or without a price list."""

    def answer(seen: Seen) -> Answer:
        if seen.path.endswith("/models"):
            return models
        body: dict[str, Any] = {"choices": [{"message": {"content": "ok"}}]}
        return 200, {}, json.dumps(body if usage is None else {**body, "usage": usage}).encode()

    return answer


LIST = {
    "data": [{"id": "m", "pricing": {"input_usd_per_million": 0.5, "output_usd_per_million": 2.0}}]
}
LISTED: Answer = (200, {}, json.dumps(LIST).encode())
TOKENS = {"prompt_tokens": 100, "completion_tokens": 10, "cost": 0}


async def test_without_a_cost_the_price_list_decides_and_is_read_once() -> None:
    async with serving(endpoint(TOKENS, LISTED)) as server, agents_at(server.url) as agents:
        for _ in range(3):
            result = await context().run(agents.call_agent, call())
            assert (result.cost_usd, result.estimated) == (Decimal("0.000070"), False)
    assert [seen.path for seen in server.seen].count("/v1/models") == 1


@pytest.mark.parametrize(
    ("usage", "models"),
    [(None, LISTED), (TOKENS, (404, {}, b"")), ({"cost": 0}, (200, {}, b'{"data": []}'))],
)
async def test_an_unknown_cost_is_the_worst_case_and_never_free(
    usage: dict[str, Any] | None, models: Answer
) -> None:
    async with serving(endpoint(usage, models)) as server, agents_at(server.url) as agents:
        result = await context().run(agents.call_agent, call())
    assert result.estimated
    assert result.cost_usd > Decimal("0.0002")
