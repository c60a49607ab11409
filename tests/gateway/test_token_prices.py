"""What each kind of token costs: exact, rounded up once, reserved at the highest price."""

from datetime import UTC, date, datetime, time
from decimal import ROUND_CEILING, Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_agent_team.gateway.models.price import Price
from durable_agent_team.gateway.models.rates import PromptParts, PromptTier, RateCard
from durable_agent_team.gateway.models.token_usage import TokenUsage
from tests.support.fuzzing import examples

CACHED = {
    "input_usd_per_million": "1.25",
    "cached_input_usd_per_million": "0.125",
    "output_usd_per_million": "10",
}
LONG = {
    "input_usd_per_million": "2",
    "output_usd_per_million": "6",
    "tiers": [
        {"above_prompt_tokens": 200_000, "input_usd_per_million": 4, "output_usd_per_million": 12}
    ],
}
ALL_KINDS = {
    "input_usd_per_million": "1",
    "cached_input_usd_per_million": "0.1",
    "cache_write_usd_per_million": "1.25",
    "cache_write_1h_usd_per_million": "2",
    "input_audio_usd_per_million": "7",
    "cached_audio_usd_per_million": "0.7",
    "input_image_usd_per_million": "3",
    "cached_image_usd_per_million": "0.3",
    "output_usd_per_million": "10",
    "reasoning_usd_per_million": "13",
    "output_audio_usd_per_million": "40",
    "output_image_usd_per_million": "30",
    "usd_per_request": "0.005",
}
USAGE = TokenUsage(
    prompt_tokens=1_000,
    completion_tokens=500,
    cached_tokens=300,
    cache_write_tokens=200,
    cache_write_1h_tokens=50,
    reasoning_tokens=100,
    input_audio_tokens=120,
    cached_audio_tokens=20,
    output_audio_tokens=30,
    input_image_tokens=90,
    cached_image_tokens=10,
    output_image_tokens=70,
)


def price(entry: dict[str, Any]) -> Price:
    return Price.model_validate(entry)


def test_each_token_is_charged_once_as_its_own_kind() -> None:
    text = Decimal(1_000 - 300 - 200 - 100 - 80) * 1 + Decimal(270) * Decimal("0.1")
    written = Decimal(150) * Decimal("1.25") + Decimal(50) * 2
    media = 100 * Decimal(7) + 20 * Decimal("0.7") + 80 * Decimal(3) + 10 * Decimal("0.3")
    answer = Decimal(300) * 10 + 100 * 13 + 30 * 40 + 70 * 30
    exact = text + written + media + answer + 5_000
    assert price(ALL_KINDS).charge(USAGE) == int(exact.to_integral_value(ROUND_CEILING))


def test_a_kind_without_a_price_is_never_free() -> None:
    plain = price({"input_usd_per_million": "1", "output_usd_per_million": "10"})
    assert plain.charge(USAGE) == plain.cost(1_000, 500) == 6_000


def test_a_cached_prompt_costs_its_own_price() -> None:
    used = TokenUsage(17_111, 300, cached_tokens=17_000)
    assert price(CACHED).charge(used) == 5_264
    assert price(CACHED).saved(used) == 24_389 - 5_264


def test_writing_to_the_cache_can_cost_more_than_it_saves() -> None:
    used = TokenUsage(1_000, 0, cached_tokens=10, cache_write_tokens=900)
    assert price(ALL_KINDS).saved(used) == -216


@pytest.mark.parametrize(
    ("prompt", "charged"), [(200_000, 406_000), (200_001, 812_004), (250_000, 1_012_000)]
)
def test_a_long_prompt_has_its_price_for_the_whole_request(prompt: int, charged: int) -> None:
    assert price(LONG).cost(prompt, 1_000) == charged


@pytest.mark.parametrize(
    ("prompt", "most"), [(199_000, 404_000), (200_000, 406_000), (250_000, 1_012_000)]
)
def test_a_long_prompt_is_reserved_at_its_price(prompt: int, most: int) -> None:
    assert price(LONG).most(prompt, 1_000) == most


def test_tiers_may_stand_in_any_order() -> None:
    tiers = [
        {"above_prompt_tokens": above, "input_usd_per_million": rate, "output_usd_per_million": 1}
        for above, rate in ((1_000, 3), (10, 2))
    ]
    both = price({"input_usd_per_million": 1, "output_usd_per_million": 1, "tiers": tiers})
    assert [both.cost(prompt, 0) for prompt in (10, 11, 1_000, 1_001)] == [10, 22, 2_000, 3_003]


def test_the_reservation_is_at_the_highest_price_that_can_apply() -> None:
    entry = price(ALL_KINDS)
    assert entry.most(1_000, 0) == 1_250 + 5_000  # written to the cache
    assert entry.most(1_000, 0, parts=PromptParts(long_cache=True)) == 2_000 + 5_000
    assert entry.most(1_000, 0, parts=PromptParts(images=True)) == 3_000 + 5_000
    assert entry.most(1_000, 0, parts=PromptParts(audio=True)) == 7_000 + 5_000
    assert entry.most(0, 1_000) == 40_000 + 5_000


FLEX = {
    "input_usd_per_million": 2,
    "output_usd_per_million": 8,
    "service_tiers": {
        "flex": {"input_usd_per_million": 1, "output_usd_per_million": 4},
        "priority": {"input_usd_per_million": 4, "output_usd_per_million": 16},
    },
}


def test_a_service_tier_costs_its_own_price_where_it_served() -> None:
    entry, used = price(FLEX), TokenUsage(1_000, 100)
    served = (None, "default", "flex", "priority", "unheard of")
    assert [entry.charge(used, tier) for tier in served] == [2_800, 2_800, 1_400, 5_600, 2_800]


def test_a_requested_tier_is_reserved_at_the_dearer_of_it_and_the_standard() -> None:
    entry = price(FLEX)
    assert entry.most(1_000, 100, service_tier="flex") == 2_800  # it may be served as standard
    assert entry.most(1_000, 100, service_tier="priority") == 5_600
    assert entry.most(1_000, 100) == 2_800


PEAK = {
    "input_usd_per_million": 1,
    "output_usd_per_million": 1,
    "periods": [
        {
            "from_time": time(1),
            "to_time": time(4),
            "input_usd_per_million": 2,
            "output_usd_per_million": 2,
        },
        {
            "from_time": time(22),
            "to_time": time(0, 30),
            "input_usd_per_million": 3,
            "output_usd_per_million": 3,
        },
        {
            "from_date": date(2200, 1, 1),
            "input_usd_per_million": 9,
            "output_usd_per_million": 9,
        },
    ],
}


@pytest.mark.parametrize(
    ("at", "charged"),
    [
        ("2026-05-01T00:59", 1),
        ("2026-05-01T01:00", 2),
        ("2026-05-01T03:59", 2),
        ("2026-05-01T04:00", 1),
        ("2026-05-01T23:00", 3),
        ("2026-05-02T00:29", 3),
        ("2026-05-02T00:30", 1),
        ("2200-01-01T02:00", 9),
    ],
)
def test_a_price_can_depend_on_the_hour_and_the_day(at: str, charged: int) -> None:
    when = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert price(PEAK).charge(TokenUsage(1, 0), at=when) == charged


def test_the_reservation_is_at_the_most_expensive_hour() -> None:
    assert price(PEAK).most(100, 0) == 300


def test_an_entry_without_new_rates_keeps_its_fingerprint() -> None:
    old = price({"input_usd_per_million": 1, "output_usd_per_million": 2})
    assert old.fingerprint == "1115fcb5b28d645b"  # of the version before
    assert price({**old.model_dump(), "source": "elsewhere"}).fingerprint == old.fingerprint
    assert price(CACHED).fingerprint != price({**CACHED, **FLEX}).fingerprint


RATE = st.decimals(0, 1000, places=9)
KINDS = [name for name in RateCard.model_fields if name.endswith("_per_million")]
CARD = st.fixed_dictionaries(
    {"input_usd_per_million": RATE, "output_usd_per_million": RATE},
    optional={
        **dict.fromkeys(KINDS[2:], RATE),
        "usd_per_request": st.decimals(0, 1, places=6),
    },
)
ENTRY = st.tuples(
    CARD,
    st.lists(st.tuples(st.integers(1, 5_000), CARD), max_size=3),
    st.dictionaries(st.sampled_from(["flex", "priority"]), CARD, max_size=2),
).map(
    lambda each: Price(
        **each[0],
        tiers=tuple(PromptTier(above_prompt_tokens=above, **card) for above, card in each[1]),
        service_tiers={name: RateCard(**card) for name, card in each[2].items()},
    )
)


@st.composite
def usages(draw: st.DrawFn, most: int = 6_000) -> TokenUsage:
    def part(whole: int) -> int:
        return draw(st.integers(0, whole))

    prompt, completion = part(most), part(most)
    cached = part(prompt)
    written = part(prompt - cached)
    audio, image = part(prompt - cached - written), 0
    image = part(prompt - cached - written - audio)
    cached_audio = part(cached)
    cached_image = part(cached - cached_audio)
    reasoning = part(completion)
    spoken = part(completion - reasoning)
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=part(written),
        reasoning_tokens=reasoning,
        input_audio_tokens=audio + cached_audio,
        cached_audio_tokens=cached_audio,
        output_audio_tokens=spoken,
        input_image_tokens=image + cached_image,
        cached_image_tokens=cached_image,
        output_image_tokens=part(completion - reasoning - spoken),
    )


@pytest.mark.fuzz
@settings(max_examples=examples(150), deadline=None)
@given(ENTRY, usages(), st.sampled_from([None, "flex", "priority"]), st.integers(0, 2_000))
def test_no_permitted_usage_costs_more_than_the_reservation(
    entry: Price, usage: TokenUsage, tier: str | None, more: int
) -> None:
    parts = PromptParts(audio=True, images=True, long_cache=True)
    most = entry.most(
        usage.prompt_tokens + more, usage.completion_tokens + more, parts=parts, service_tier=tier
    )
    for served in {None, tier}:
        assert 0 <= entry.charge(usage, served) <= most
