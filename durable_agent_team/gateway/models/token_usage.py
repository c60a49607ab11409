"""How many tokens a call used, by kind, as read from what a provider reports, in any spelling.

Only whole numbers that are not negative are believed. Where counts contradict each other, the
reading that costs more is taken; a discount needs counts that fit.

Sources: OpenAI's API reference (chat completions, responses), Anthropic's (Messages, prompt
caching), DeepSeek's (context caching), xAI's and Vertex AI's (reasoning tokens are outside of
`completion_tokens`), OpenRouter's (usage accounting), Moonshot's (usage in a stream's choice),
Alibaba's (context cache), Cohere's (`billed_units`), Amazon Bedrock's (`TokenUsage`) and Gemini's
(`UsageMetadata`), the last two in camel case.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

MAX_TOKENS = 10**12
PLAIN = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})
"""A usage with these alone tells no kinds: most do not, and are read at once."""

Reported = dict[str, Any]

PROMPT = ("prompt_tokens", "input_tokens", "prompt_token_count", "input_token_count")
COMPLETION = (
    "completion_tokens",
    "output_tokens",
    "candidates_token_count",
    "output_token_count",
)
TOTAL = ("total_tokens", "total_token_count")
PROMPT_DETAILS = (
    "prompt_tokens_details",
    "input_tokens_details",
    "prompt_token_details",
    "input_token_details",
)
COMPLETION_DETAILS = (
    "completion_tokens_details",
    "output_tokens_details",
    "completion_token_details",
    "output_token_details",
    "candidates_tokens_details",
)
BY_MODALITY = "cache_tokens_details"
"""Gemini's tokens read from the cache. Its details are lists, with an entry for each modality."""
CACHED = frozenset(
    {
        "cached_tokens",
        "cache_read_input_tokens",
        "cache_read_tokens",
        "cached_input_tokens",
        "cached_prompt_tokens",
        "input_cached_tokens",
        "prompt_cache_hit_tokens",
        "num_cached_tokens",
        "cached_prompt_text_tokens",
        "cached_content_token_count",
        "cache_read",
    }
)
"""In the usage itself, or in its details of the prompt; as are the next ones."""
WRITTEN = frozenset(
    {
        "cache_creation_input_tokens",
        "cache_write_input_tokens",
        "cache_write_tokens",
        "cache_creation_tokens",
        "cache_creation",
    }
)
LIFETIMES = ("cache_creation", "cache_creation_token_details")
"""Anthropic's, and LiteLLM's."""
WRITTEN_5M, WRITTEN_1H = "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"
OUTSIDE = "thoughts_token_count"
"""Gemini's thinking, which its count of the answer never has."""
TOOL_USE = "tool_use_prompt_token_count"
"""Gemini's prompts of its own tools, which its count of the prompt never has."""
ITERATIONS = "iterations"
"""Anthropic's list of what a model was asked on the way, such as for a summary of a long prompt:
the usage around it counts only the last one."""
REASONING = frozenset({"reasoning_tokens", "thinking_tokens", "reasoning", OUTSIDE})
BILLED_FIRST = ("billed_units", "tokens")
"""Cohere's counts: those that are billed, and all, with those of the prompt's own frame."""
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one call. `prompt_tokens` counts all input, cached and written included, and
    `completion_tokens` all output, thinking included; the other counts are parts of these two."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    """The part of those written to the cache that is kept for an hour."""
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    cached_audio_tokens: int = 0
    output_audio_tokens: int = 0
    input_image_tokens: int = 0
    cached_image_tokens: int = 0
    output_image_tokens: int = 0

    def without_caching(self) -> "TokenUsage":
        return replace(
            self,
            cached_tokens=0,
            cache_write_tokens=0,
            cache_write_1h_tokens=0,
            cached_audio_tokens=0,
            cached_image_tokens=0,
        )

    @property
    def weight(self) -> tuple[int, int]:
        """Compares several reports of one call: the heaviest counts. It is the one with the most
        tokens, then the one that says most about their kinds."""
        kinds = (self.cached_tokens, self.cache_write_tokens, self.reasoning_tokens)
        return self.prompt_tokens + self.completion_tokens, sum(map(bool, kinds))


def read_usage(reported: Any, *, may_add: bool = True) -> TokenUsage | None:
    """The tokens that a provider's `usage` reports; None if it tells neither prompt nor answer, or
    what it tells cannot be believed. A prompt never has 0 tokens. `may_add`: whether more cached
    tokens than the prompt has are believed, as tokens beside it; without, they are no discount."""
    if not isinstance(reported, dict):
        return None
    plain = reported.keys() <= PLAIN
    if plain and (usage := _plain_usage(reported)):
        return usage
    if (nested := _nested_usage(reported, may_add)) is not None:
        return nested
    reported = _in_snake_case(reported)
    prompt, completion = _largest(reported, PROMPT), _largest(reported, COMPLETION)
    total = max(_counts((reported,), TOTAL), default=None)
    if completion is None and total is not None and not _any(reported, COMPLETION):
        completion = 0  # the total tells it
    if prompt is None or completion is None:
        return None
    if plain:
        completion = max(completion, (total or 0) - prompt)
        return TokenUsage(prompt, completion) if prompt else None
    cached, written, written_1h = _caching(reported)
    prompt = max(prompt, _hits_and_misses(reported)) + max(
        _counts((reported,), (TOOL_USE,)), default=0
    )
    reasoning = max(_counts(_parts(reported, COMPLETION_DETAILS), REASONING), default=0)
    rest = None if total is None else total - prompt - completion
    if cached + written and _caching_is_outside(
        reported, prompt, cached + written, rest, reasoning
    ):
        prompt += cached + written
    elif cached + written > prompt and not may_add:
        cached = written = written_1h = 0
    elif cached + written > prompt:
        # Routers pass both counts on as each provider has them: without what was read from the
        # cache, and without what was written to it.
        prompt += written + (cached if cached > prompt else 0)
    if reasoning > completion or OUTSIDE in reported:
        completion += reasoning  # thinking is no part of less
    if total is not None:
        completion = max(completion, total - prompt)
    if ITERATIONS in reported:
        asked, answered, wrote = _iterations(reported[ITERATIONS])
        prompt, completion = max(prompt, asked), max(completion, answered)
        written = max(written, min(wrote, prompt - cached))
    if prompt == 0:
        return None
    found = TokenUsage(prompt, completion, cached, written, written_1h, reasoning)
    return _with_media(found, reported)


def _nested_usage(reported: Reported, may_add: bool) -> TokenUsage | None:
    """That of counts one level down; None if there are none that can be believed."""
    around = {name: value for name, value in reported.items() if name not in BILLED_FIRST}
    for name in BILLED_FIRST:
        if isinstance(part := reported.get(name), dict):
            found = read_usage({**around, **part}, may_add=may_add)
            if found is not None:
                return found
    return None


def _plain_usage(reported: Reported) -> TokenUsage | None:
    """Reads what nearly every upstream reports: three whole numbers. None for anything else."""
    prompt, completion = reported.get("prompt_tokens"), reported.get("completion_tokens")
    total = reported.get("total_tokens", 0)
    if not (is_count(prompt) and is_count(completion) and is_count(total)) or not prompt:
        return None
    return TokenUsage(prompt, max(completion, total - prompt))


def _caching_is_outside(
    reported: Reported, prompt: int, caching: int, rest: int | None, reasoning: int
) -> bool:
    """Whether `prompt` does not count the tokens that were read from the cache or written to it:
    Anthropic's `input_tokens` does not, nor does a prompt that only adds up to the total with them.
    `rest` is what the total has beyond prompt and answer."""
    anthropic = any(
        name in reported for name in ("cache_read_input_tokens", "cache_creation_input_tokens")
    )
    if anthropic and ("prompt_tokens" not in reported or caching > prompt):
        return True
    if rest == caching + reasoning:
        return True  # thinking is outside, too
    return rest == caching and rest != reasoning


def _caching(reported: Reported) -> tuple[int, int, int]:
    """Tokens read from the cache, written to it, and of these the ones written for an hour.

    Where spellings differ, the smallest discount counts."""
    parts = _parts(reported, PROMPT_DETAILS)
    cached = min((each for each in _counts(parts, CACHED) if each), default=0)
    lifetimes = [each.get(name) for each in parts for name in LIFETIMES]
    hour = max(_counts(lifetimes, (WRITTEN_1H,)), default=0)
    minutes = max(_counts(lifetimes, (WRITTEN_5M,)), default=0)
    written = max(_counts(parts, WRITTEN), default=0)
    return cached, max(written, hour + minutes), hour


def _iterations(listed: Any) -> tuple[int, int, int]:
    """The tokens of all prompts and of all answers, and those that were written to the cache."""
    prompt = completion = written = 0
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict):
            cached, wrote, _ = _caching(each)
            prompt += (_largest(each, PROMPT) or 0) + cached + wrote
            completion += _largest(each, COMPLETION) or 0
            written += wrote
    return prompt, completion, written


def _hits_and_misses(reported: Reported) -> int:
    """DeepSeek's two parts of a prompt."""
    return sum(_counts((reported,), ("prompt_cache_hit_tokens", "prompt_cache_miss_tokens")))


def _with_media(found: TokenUsage, reported: Reported) -> TokenUsage:
    """With audio and images, where their counts fit into the others."""
    audio, image = (_media(reported, PROMPT_DETAILS, name) for name in ("audio", "image"))
    if audio + image > found.prompt_tokens:
        audio = image = 0
    cached_audio = min(_cached_media(reported, "audio"), audio, found.cached_tokens)
    cached_image = min(_cached_media(reported, "image"), image, found.cached_tokens - cached_audio)
    caching = found.cached_tokens + found.cache_write_tokens
    twice = caching + audio + image - cached_audio - cached_image - found.prompt_tokens
    if twice > 0:  # audio or images were cached, too, and it does not say how many
        more = min(twice, audio - cached_audio, found.cached_tokens - cached_audio - cached_image)
        cached_audio += more
        rest = min(
            twice - more, image - cached_image, found.cached_tokens - cached_audio - cached_image
        )
        cached_image += rest
        if twice > more + rest:
            audio = image = cached_audio = cached_image = 0
    spoken, drawn = (_media(reported, COMPLETION_DETAILS, name) for name in ("audio", "image"))
    if spoken + drawn + found.reasoning_tokens > found.completion_tokens:
        spoken = drawn = 0
    if not (audio or image or spoken or drawn):
        return found
    return replace(
        found,
        input_audio_tokens=audio,
        cached_audio_tokens=cached_audio,
        output_audio_tokens=spoken,
        input_image_tokens=image,
        cached_image_tokens=cached_image,
        output_image_tokens=drawn,
    )


def _media(reported: Reported, details: tuple[str, ...], kind: str) -> int:
    return max(_counts(_parts(reported, details)[1:], (f"{kind}_tokens",)), default=0)


def _cached_media(reported: Reported, kind: str) -> int:
    parts = _parts(reported, PROMPT_DETAILS)[1:]
    cached = [each["cached_tokens_details"] for each in parts if "cached_tokens_details" in each]
    cached.append(_of_modalities(reported.get(BY_MODALITY)))
    return max(_counts(cached, (f"{kind}_tokens",)), default=0)


def _parts(reported: Reported, details: tuple[str, ...]) -> list[Reported]:
    """The usage itself, and its details of that kind."""
    found = (_of_modalities(reported.get(name)) for name in details)
    return [reported, *(each for each in found if isinstance(each, dict))]


def _of_modalities(details: Any) -> Any:
    """Gemini's list, as the details of others: `[{"modality": "AUDIO", "tokenCount": 5}]`."""
    if not isinstance(details, list):
        return details
    found: Reported = {}
    for each in details:
        modality = each.get("modality") if isinstance(each, dict) else None
        if isinstance(modality, str):
            counts = max(_counts((each,), ("tokenCount", "token_count")), default=0)
            name = f"{modality.lower()}_tokens"
            found[name] = found.get(name, 0) + counts
    return found


def _in_snake_case(reported: Reported) -> Reported:
    """Where a count is there in both spellings, the larger one is kept."""
    if all(map(str.islower, reported)):
        return reported
    found: Reported = {}
    for name, value in reported.items():
        spelled = CAMEL.sub("_", name).lower()
        value = _in_snake_case(value) if isinstance(value, dict) else value
        known = found.get(spelled)
        found[spelled] = max(known, value) if is_count(known) and is_count(value) else value
    return found


def _largest(reported: Reported, names: tuple[str, ...]) -> int | None:
    """The largest of the counts; None if one of them is not a count, or there is none."""
    given = [reported[name] for name in names if reported.get(name) is not None]
    return max(given) if given and all(map(is_count, given)) else None


def _any(reported: Reported, names: tuple[str, ...]) -> bool:
    return any(reported.get(name) is not None for name in names)


def _counts(parts: Iterable[Any], names: Collection[str]) -> Iterator[int]:
    """Those that can be believed."""
    for part in parts:
        if isinstance(part, dict):
            for name in part.keys() & names:
                if is_count(count := part[name]):
                    yield count


def is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_TOKENS
