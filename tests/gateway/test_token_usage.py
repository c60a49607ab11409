"""How many tokens a call used, from what each provider reports; believed with care.

The shapes are those of the providers' documentation, named in `token_usage.py`.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_agent_team.gateway.models.token_usage import TokenUsage, read_usage
from tests.support.fuzzing import examples

OPENAI = {
    "prompt_tokens": 17111,
    "completion_tokens": 300,
    "total_tokens": 17411,
    "prompt_tokens_details": {"cached_tokens": 17000, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 200, "audio_tokens": 0},
}
XAI = {
    "prompt_tokens": 32,
    "completion_tokens": 9,
    "total_tokens": 135,
    "prompt_tokens_details": {"text_tokens": 32, "cached_tokens": 6},
    "completion_tokens_details": {"reasoning_tokens": 94},
}
GEMINI = {"prompt_tokens": 8, "completion_tokens": 7, "total_tokens": 624}
DEEPSEEK = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_cache_hit_tokens": 64,
    "prompt_cache_miss_tokens": 36,
}
ANTHROPIC = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 500,
    "cache_read_input_tokens": 2000,
    "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 200},
    "output_tokens": 50,
}
RESPONSES = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 80},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 12},
    "total_tokens": 130,
}
OPENROUTER = {
    "prompt_tokens": 194,
    "completion_tokens": 2,
    "total_tokens": 196,
    "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 100, "audio_tokens": 0},
    "cost": 0.95,
}
MOONSHOT = {"prompt_tokens": 19, "completion_tokens": 13, "total_tokens": 32, "cached_tokens": 10}
OUTSIDE = {
    "prompt_tokens": 111,
    "completion_tokens": 300,
    "total_tokens": 17411,
    "prompt_tokens_details": {"cached_tokens": 17000},
}
BOTH_OUTSIDE = {
    "prompt_tokens": 111,
    "completion_tokens": 9,
    "total_tokens": 111 + 17000 + 9 + 94,
    "prompt_tokens_details": {"cached_tokens": 17000},
    "completion_tokens_details": {"reasoning_tokens": 94},
}
ALIBABA = {
    "prompt_tokens": 1700,
    "completion_tokens": 10,
    "total_tokens": 1710,
    "prompt_tokens_details": {
        "cached_tokens": 60,
        "cache_creation_input_tokens": 1605,
        "cache_creation": {"ephemeral_5m_input_tokens": 1605},
        "cache_type": "ephemeral",
    },
}
BEDROCK = {
    "inputTokens": 10,
    "outputTokens": 20,
    "totalTokens": 110,
    "cacheReadInputTokens": 70,
    "cacheWriteInputTokens": 10,
}
GEMINI_NATIVE = {
    "promptTokenCount": 100,
    "candidatesTokenCount": 10,
    "thoughtsTokenCount": 5,
    "cachedContentTokenCount": 80,
}
LANGCHAIN = {
    "input_tokens": 100,
    "output_tokens": 5,
    "total_tokens": 105,
    "input_token_details": {"cache_read": 80, "cache_creation": 3},
    "output_token_details": {"reasoning": 3},
}
LITELLM = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {
        "cached_tokens": 0,
        "cache_creation_tokens": 900,
        "cache_creation_token_details": {
            "ephemeral_5m_input_tokens": 300,
            "ephemeral_1h_input_tokens": 600,
        },
    },
    "cache_creation_input_tokens": 900,
    "cache_read_input_tokens": 0,
}
GEMINI_MEDIA = {
    "promptTokenCount": 2000,
    "candidatesTokenCount": 1300,
    "totalTokenCount": 3300,
    "cachedContentTokenCount": 1000,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 500},
        {"modality": "AUDIO", "tokenCount": 1500},
    ],
    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 800}],
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
}
PERPLEXITY = {
    "prompt_tokens": 33,
    "completion_tokens": 7163,
    "total_tokens": 7196,
    "citation_tokens": 20016,
    "reasoning_tokens": 95305,
}
COMPACTED = {
    "input_tokens": 23000,
    "output_tokens": 1000,
    "iterations": [
        {"type": "compaction", "input_tokens": 180000, "output_tokens": 3500},
        {"type": "message", "input_tokens": 23000, "output_tokens": 1000},
    ],
}
GEMINI_TOOLS = {
    "promptTokenCount": 100,
    "toolUsePromptTokenCount": 500,
    "candidatesTokenCount": 10,
}
BESIDE_THE_PROMPT = {
    "prompt_tokens": 8,
    "completion_tokens": 862,
    "total_tokens": 870,
    "prompt_tokens_details": {"cached_tokens": 18901},
}
WRITTEN_BESIDE_THE_PROMPT = {
    "prompt_tokens": 10339,
    "completion_tokens": 2,
    "total_tokens": 10341,
    "prompt_tokens_details": {"cached_tokens": 10318, "cache_write_tokens": 5000},
}
AUDIO = {
    "prompt_tokens": 100,
    "completion_tokens": 60,
    "prompt_tokens_details": {"audio_tokens": 70, "cached_tokens": 50},
    "completion_tokens_details": {"audio_tokens": 40},
}


@pytest.mark.parametrize(
    ("reported", "read"),
    [
        (OPENAI, TokenUsage(17111, 300, 17000, reasoning_tokens=200)),
        (XAI, TokenUsage(32, 103, 6, reasoning_tokens=94)),
        (GEMINI, TokenUsage(8, 616)),
        (DEEPSEEK, TokenUsage(100, 20, 64)),
        (ANTHROPIC, TokenUsage(2510, 50, 2000, 500, 200)),
        (RESPONSES, TokenUsage(100, 30, 80, reasoning_tokens=12)),
        (OPENROUTER, TokenUsage(194, 2, 20, 100)),
        (MOONSHOT, TokenUsage(19, 13, 10)),
        (OUTSIDE, TokenUsage(17111, 300, 17000)),
        (BOTH_OUTSIDE, TokenUsage(17111, 103, 17000, reasoning_tokens=94)),
        (ALIBABA, TokenUsage(1700, 10, 60, 1605)),
        (BEDROCK, TokenUsage(90, 20, 70, 10)),
        (GEMINI_NATIVE, TokenUsage(100, 15, 80, reasoning_tokens=5)),
        ({**GEMINI_NATIVE, "totalTokenCount": 115}, TokenUsage(100, 15, 80, reasoning_tokens=5)),
        (LANGCHAIN, TokenUsage(100, 5, 80, 3, reasoning_tokens=3)),
        (LITELLM, TokenUsage(1000, 100, 0, 900, 600)),
        (
            GEMINI_MEDIA,
            TokenUsage(
                *(2000, 1300, 1000),
                input_audio_tokens=1500,
                cached_audio_tokens=800,
                output_image_tokens=1290,
            ),
        ),
        (PERPLEXITY, TokenUsage(33, 102468, reasoning_tokens=95305)),
        ({**XAI, "total_tokens": 41}, TokenUsage(32, 103, 6, reasoning_tokens=94)),
        (COMPACTED, TokenUsage(203000, 4500)),
        (GEMINI_TOOLS, TokenUsage(600, 10)),
        ({**GEMINI_TOOLS, "totalTokenCount": 610}, TokenUsage(600, 10)),
        (BESIDE_THE_PROMPT, TokenUsage(18909, 862, 18901)),
        (WRITTEN_BESIDE_THE_PROMPT, TokenUsage(15339, 2, 10318, 5000)),
        (
            AUDIO,
            TokenUsage(
                *(100, 60, 50),
                input_audio_tokens=70,
                cached_audio_tokens=20,
                output_audio_tokens=40,
            ),
        ),
    ],
)
def test_every_spelling_is_read(reported: dict[str, Any], read: TokenUsage) -> None:
    assert read_usage(reported) == read


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        # The total has less than its parts, or more: what costs more counts.
        ({"total_tokens": 20}, TokenUsage(100, 20, 64)),
        ({"total_tokens": 150}, TokenUsage(100, 50, 64)),
        ({"total_tokens": -1}, TokenUsage(100, 20, 64)),
        ({"total_tokens": True}, TokenUsage(100, 20, 64)),
        ({"total_tokens": 10**12}, TokenUsage(100, 20, 64)),
        # A discount needs counts that fit.
        ({"prompt_cache_hit_tokens": 101, "prompt_cache_miss_tokens": 0}, TokenUsage(101, 20, 101)),
        ({"prompt_cache_hit_tokens": 64.0}, TokenUsage(100, 20)),
        ({"prompt_cache_hit_tokens": -64}, TokenUsage(100, 20)),
        ({"prompt_cache_hit_tokens": True}, TokenUsage(100, 20)),
        ({"prompt_cache_hit_tokens": "64"}, TokenUsage(100, 20)),
        ({"prompt_tokens_details": {"cached_tokens": 5}}, TokenUsage(100, 20, 5)),
        ({"prompt_tokens_details": {"cached_tokens": 0}}, TokenUsage(100, 20, 64)),
        ({"prompt_tokens_details": [1], "completion_tokens_details": 7}, TokenUsage(100, 20, 64)),
        ({"prompt_cache_miss_tokens": 50}, TokenUsage(114, 20, 64)),
        # Of two spellings of one count the larger one counts, in whichever order.
        ({"promptTokens": 7, "completionTokens": 90}, TokenUsage(100, 90, 64)),
        ({"PromptTokens": 700, "Completion_Tokens": 9}, TokenUsage(700, 20, 64)),
        # Thinking that cannot be a part of the answer is beside it.
        (
            {"completion_tokens_details": {"reasoning_tokens": 30}},
            TokenUsage(100, 50, 64, reasoning_tokens=30),
        ),
        ({"completion_tokens_details": {"reasoning_tokens": -30}}, TokenUsage(100, 20, 64)),
        # The total tells the answer's tokens.
        ({"completion_tokens": None}, TokenUsage(100, 20, 64)),
        ({"completion_tokens": 0}, TokenUsage(100, 20, 64)),
    ],
)
def test_where_counts_contradict_each_other_the_dearer_reading_counts(
    changes: dict[str, Any], read: TokenUsage
) -> None:
    assert read_usage({**DEEPSEEK, **changes}) == read


def test_more_cached_tokens_than_the_prompt_has_are_beside_it_or_no_discount() -> None:
    reported = {**OPENAI, "prompt_tokens_details": {"cached_tokens": 17112}}
    assert read_usage(reported) == TokenUsage(34223, 300, 17112, reasoning_tokens=200)
    plain = TokenUsage(17111, 300, reasoning_tokens=200)
    assert read_usage(reported, may_add=False) == plain


@pytest.mark.parametrize(
    "listed", [[], [None, 7], [{}], [{"modality": 5, "tokenCount": 5}], [{"modality": "AUDIO"}]]
)
def test_modalities_of_another_shape_tell_nothing(listed: Any) -> None:
    media = {name: listed for name in GEMINI_MEDIA if name.endswith("Details")}
    assert read_usage({**GEMINI_MEDIA, **media}) == TokenUsage(2000, 1300, 1000)


def test_an_iteration_of_another_shape_adds_nothing() -> None:
    some: list[Any] = [None, 7, [], {"input_tokens": "9"}, {"output_tokens": -1}]
    shapes: tuple[Any, ...] = (None, 5, {}, some)
    for listed in shapes:
        assert read_usage({**RESPONSES, "iterations": listed}) == read_usage(RESPONSES)
    written = {"input_tokens": 1, "cache_creation_input_tokens": 500, "output_tokens": 2}
    read = read_usage({**RESPONSES, "iterations": [written, written]})
    assert read == TokenUsage(1002, 30, 80, 922, reasoning_tokens=12)


UNBELIEVABLE = [-1, -(10**9), True, 1.0, "5", None, [], {}, 10**12, float("inf")]


@pytest.mark.parametrize("count", UNBELIEVABLE)
@pytest.mark.parametrize("field", ["prompt_tokens", "completion_tokens"])
def test_a_count_that_is_no_count_is_not_believed(field: str, count: Any) -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 5, field: count}
    assert read_usage(usage) is None
    assert read_usage({**usage, "input_tokens": 20, "output_tokens": 5}) is None or count is None


@pytest.mark.parametrize("usage", [None, [], "x", 5, {}, {"prompt_tokens": 0}, {"total_tokens": 9}])
def test_what_is_no_usage_is_none(usage: Any) -> None:
    assert read_usage(usage) is None


COUNTS: st.SearchStrategy[Any] = st.one_of(
    st.integers(-5, 200), st.sampled_from([None, True, "9", 1.5, 10**13, [], {}])
)
NAMES = sorted(
    {
        name
        for usage in (
            *(OPENAI, XAI, DEEPSEEK, ANTHROPIC, RESPONSES, MOONSHOT),
            *(BEDROCK, GEMINI_NATIVE, LANGCHAIN),
        )
        for name in usage
    }
)
DETAILS = st.dictionaries(
    st.sampled_from(
        ["cached_tokens", "cache_write_tokens", "reasoning_tokens", "audio_tokens", "image_tokens"]
    ),
    COUNTS,
)


@pytest.mark.fuzz
@settings(max_examples=examples(200), deadline=None)
@given(st.data())
def test_parts_never_exceed_the_whole_and_no_count_is_negative(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(NAMES), unique=True))
    reported = {
        name: data.draw(DETAILS if "detail" in name or name == "cache_creation" else COUNTS)
        for name in [*names, "prompt_tokens", "completion_tokens"]
    }
    read = read_usage(reported)
    if read is None:
        return
    assert min(getattr(read, name) for name in TokenUsage.__slots__) >= 0
    for part, whole in (("prompt_tokens", "prompt_tokens"), ("completion_tokens",) * 2):
        told = reported[part]
        if told is None:
            continue
        assert isinstance(told, int)
        assert not isinstance(told, bool)
        assert 0 <= told <= getattr(read, whole)
    assert read.cached_tokens + read.cache_write_tokens <= read.prompt_tokens
    assert read.cache_write_1h_tokens <= read.cache_write_tokens
    assert read.cached_audio_tokens + read.cached_image_tokens <= read.cached_tokens
    assert read.cached_audio_tokens <= read.input_audio_tokens
    assert read.cached_image_tokens <= read.input_image_tokens
    media = read.output_audio_tokens + read.output_image_tokens
    assert media + read.reasoning_tokens <= read.completion_tokens
    plain = read.prompt_tokens - read.cached_tokens - read.cache_write_tokens
    plain -= read.input_audio_tokens - read.cached_audio_tokens
    assert plain - (read.input_image_tokens - read.cached_image_tokens) >= 0
