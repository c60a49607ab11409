"""Every model of the catalogue is charged what its provider publishes, to the micro-dollar.

Two oracles: genai-prices' own calculation, where it answers; and the rule itself, from the
catalogue's figures, written again here.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, TieredPrices, Usage
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_agent_team.gateway.models.price import Price
from durable_agent_team.gateway.models.published_price import price_fields
from durable_agent_team.gateway.models.rates import PromptParts
from durable_agent_team.gateway.models.token_usage import TokenUsage
from tests.gateway.test_token_prices import usages
from tests.support.fuzzing import count, examples

NOW = datetime.now(UTC)
PROVIDERS = get_snapshot().providers
MODELS = [(provider, model) for provider in PROVIDERS for model in provider.models]
ANYTHING = PromptParts(audio=True, images=True, long_cache=True)
Published = tuple[Any, ModelInfo, Price]


def published() -> list[Published]:
    found = []
    for provider, model in MODELS:
        if (fields := price_fields(model, NOW)) is not None:
            found.append((provider, model, Price.model_validate(fields)))
    return found


PUBLISHED = published()


def test_nearly_every_model_has_a_price() -> None:
    unpriced = [
        model.id
        for _, model in MODELS
        if price_fields(model, NOW) is None and "input_mtok" in model.get_prices(NOW).__dict__
    ]
    assert unpriced == ["sonar-deep-research"]  # its citations have no limit
    assert len(PUBLISHED) > 2_000


def rule(model: ModelInfo, usage: TokenUsage, at: datetime, tier: str | None = None) -> Decimal:
    """Micro-USD, exactly: each token at the price of its kind, all of them at the tier that the
    whole prompt reaches."""
    context = {"service_tier": tier} if tier is not None else None
    prices = model.get_prices(at, context).__dict__

    def rate(*units: str) -> Decimal:
        """The first one that has a price."""
        price = next((prices[unit] for unit in units if prices.get(unit) is not None), Decimal(0))
        if isinstance(price, TieredPrices):
            reached = [each for each in price.tiers if usage.prompt_tokens > each.start]
            price = reached[-1].price if reached else price.base
        return round(price, 9)

    audio, image = usage.input_audio_tokens, usage.input_image_tokens
    cached_audio, cached_image = usage.cached_audio_tokens, usage.cached_image_tokens
    tokens = {
        ("cache_read_mtok", "input_mtok"): usage.cached_tokens - cached_audio - cached_image,
        ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"): usage.cache_write_1h_tokens,
        ("cache_write_mtok", "input_mtok"): usage.cache_write_tokens - usage.cache_write_1h_tokens,
        ("input_audio_mtok", "input_mtok"): audio - cached_audio,
        ("cache_audio_read_mtok", "input_audio_mtok", "input_mtok"): cached_audio,
        ("input_image_mtok", "input_mtok"): image - cached_image,
        ("cache_image_read_mtok", "input_image_mtok", "input_mtok"): cached_image,
        ("output_reasoning_mtok", "output_mtok"): usage.reasoning_tokens,
        ("output_audio_mtok", "output_mtok"): usage.output_audio_tokens,
        ("output_image_mtok", "output_mtok"): usage.output_image_tokens,
    }
    parts = list(tokens.values())
    tokens["input_mtok",] = usage.prompt_tokens - sum(parts[:7])
    tokens["output_mtok",] = usage.completion_tokens - sum(parts[7:])
    of_tokens = sum((number * rate(*units) for units, number in tokens.items()), Decimal(0))
    return of_tokens + round(rate("requests_kcount"), 9) * 1_000


def rounded_up(micro: Decimal) -> int:
    return int(micro.to_integral_value(ROUND_CEILING))


def assert_charged(entry: Published, usage: TokenUsage, at: datetime) -> None:
    _, model, price = entry
    for tier in (None, *price.service_tiers):
        charge = price.charge(usage, tier, at)
        assert charge == rounded_up(rule(model, usage, at, tier)), (model.id, tier)
        most = price.most(
            usage.prompt_tokens, usage.completion_tokens, parts=ANYTHING, service_tier=tier
        )
        assert charge <= most, (model.id, tier)


def by_the_package(entry: Published, usage: TokenUsage, at: datetime) -> Decimal | None:
    """Micro-USD; None where the package has no answer for these kinds."""
    provider, model, _ = entry
    figures = {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "cache_read_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
    }
    try:
        found = model.calc_price(Usage(**figures), provider, genai_request_timestamp=at)
    except ValueError:
        return None
    return found.total_price * 10**6


def texts(seed: int) -> Iterator[TokenUsage]:
    """Two usages of texts, over all models on both sides of every tier."""
    chance = random.Random(seed)
    for most in chance.sample((100, 40_000, 150_000, 300_000, 900_000), 2):
        prompt, completion = chance.randint(1, most), chance.randint(0, most)
        cached = chance.randint(0, prompt)
        written = chance.randint(0, prompt - cached)
        hour = chance.randint(0, written)
        yield TokenUsage(prompt, completion, cached, written, hour, chance.randint(0, completion))


def test_every_model_is_charged_as_the_package_calculates() -> None:
    """The package keeps figures such as 0.07999999999999999, so it may differ in the last place."""
    compared = 0
    for number, entry in enumerate(PUBLISHED):
        for usage in texts(number):
            at = NOW.replace(hour=number % 24, minute=30)
            assert_charged(entry, usage, at)
            exact = by_the_package(entry, usage, at)
            if exact is not None:
                compared += 1
                charge = entry[2].charge(usage, at=at)
                off = abs(charge - exact) if charge < exact else Decimal(0)
                assert off < Decimal("0.0001"), (entry[1].id, usage)
                assert charge - exact < 1 + Decimal("0.0001"), (entry[1].id, usage)
    count("tests/gateway/test_published_prices.py::package", compared)
    assert compared > 4_000


@pytest.mark.fuzz
@settings(max_examples=examples(150), deadline=None)
@given(
    st.sampled_from(range(len(PUBLISHED))),
    usages(most=1_500_000),
    st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
)
def test_any_usage_of_any_model_is_charged_by_the_published_rule(
    number: int, usage: TokenUsage, at: datetime
) -> None:
    provider, model, _ = PUBLISHED[number]
    fields = price_fields(model, at)
    if fields is not None:
        assert_charged((provider, model, Price.model_validate(fields)), usage, at)
