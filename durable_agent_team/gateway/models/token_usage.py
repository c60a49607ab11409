"""How many tokens a call used, by kind, as read from what a provider reports, in any spelling.

Only whole numbers that are not negative are believed. Where counts contradict each other, the
reading that costs more is taken; a discount needs counts that fit.

Sources: OpenAI's API reference (chat completions, responses), Anthropic's (Messages, prompt
caching), DeepSeek's (context caching), xAI's and Vertex AI's (reasoning tokens are outside of
`completion_tokens`), OpenRouter's (usage accounting), Moonshot's (usage in a stream's choice).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

MAX_TOKENS = 10**12
PLAIN = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})
"""A usage with these alone tells no kinds: most do not, and are read at once."""

Reported = dict[str, Any]
Path = tuple[str, ...]

PROMPT: tuple[Path, ...] = (("prompt_tokens",), ("input_tokens",))
COMPLETION: tuple[Path, ...] = (("completion_tokens",), ("output_tokens",))
PROMPT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details")
COMPLETION_DETAILS = ("completion_tokens_details", "output_tokens_details")
CACHED: tuple[Path, ...] = (
    *((details, "cached_tokens") for details in PROMPT_DETAILS),
    ("input_tokens_details", "cache_read_input_tokens"),
    ("cache_read_input_tokens",),
    ("prompt_cache_hit_tokens",),
    ("cached_tokens",),
    ("num_cached_tokens",),
    ("cached_prompt_text_tokens",),
)
WRITTEN: tuple[Path, ...] = (
    ("cache_creation_input_tokens",),
    *((details, "cache_write_tokens") for details in PROMPT_DETAILS),
    *((details, "cache_creation_tokens") for details in PROMPT_DETAILS),
)
WRITTEN_5M: Path = ("cache_creation", "ephemeral_5m_input_tokens")
WRITTEN_1H: Path = ("cache_creation", "ephemeral_1h_input_tokens")
REASONING: tuple[Path, ...] = (
    *((details, "reasoning_tokens") for details in COMPLETION_DETAILS),
    *((details, "thinking_tokens") for details in COMPLETION_DETAILS),
    ("reasoning_tokens",),
)


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one call. `prompt_tokens` counts all input, cached and written included, and
    `completion_tokens` all output, thinking included; the other counts are parts of these two."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    """Of those written to the cache, the ones that are kept for an hour."""
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
        """Of several reports of one call, the heaviest counts: the most tokens, then the most that
        is known of their kinds."""
        kinds = (self.cached_tokens, self.cache_write_tokens, self.reasoning_tokens)
        return self.prompt_tokens + self.completion_tokens, sum(map(bool, kinds))


def read_usage(reported: Any) -> TokenUsage | None:
    """The tokens that a provider's `usage` reports; None if it tells neither prompt nor answer, or
    what it tells cannot be believed. A prompt never has 0 tokens."""
    if not isinstance(reported, dict):
        return None
    plain = reported.keys() <= PLAIN
    if plain and (usage := _plain_usage(reported)):
        return usage
    prompt, completion = _total(reported, PROMPT), _total(reported, COMPLETION)
    total = _count(reported, ("total_tokens",))
    if completion is None and total is not None and not _any(reported, COMPLETION):
        completion = 0  # the total tells it
    if prompt is None or completion is None:
        return None
    if plain:
        completion = max(completion, (total or 0) - prompt)
        return TokenUsage(prompt, completion) if prompt else None
    cached, written, written_1h = _caching(reported)
    prompt = max(prompt, _hits_and_misses(reported))
    reasoning = max(_counts(reported, REASONING), default=0)
    rest = None if total is None else total - prompt - completion
    if cached + written and _caching_is_outside(
        reported, prompt, cached + written, rest, reasoning
    ):
        prompt += cached + written
    elif cached + written > prompt:
        cached = written = written_1h = 0  # they contradict the prompt: no discount
    if reasoning > completion:
        completion += reasoning  # thinking is no part of less
    if total is not None:
        completion = max(completion, total - prompt)
    if prompt == 0:
        return None
    found = TokenUsage(prompt, completion, cached, written, written_1h, reasoning)
    return _with_media(found, reported)


def _plain_usage(reported: Reported) -> TokenUsage | None:
    """Of what nearly every upstream reports: three whole numbers. None for anything else."""
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
    return rest == caching and rest != reasoning


def _caching(reported: Reported) -> tuple[int, int, int]:
    """Tokens read from the cache, written to it, and of these the ones written for an hour.

    Where spellings differ, the smallest discount counts."""
    cached = min((each for each in _counts(reported, CACHED) if each), default=0)
    hour = _count(reported, WRITTEN_1H) or 0
    written = max(_counts(reported, WRITTEN), default=0)
    written = max(written, hour + (_count(reported, WRITTEN_5M) or 0))
    return cached, written, hour


def _hits_and_misses(reported: Reported) -> int:
    """DeepSeek's two parts of a prompt."""
    parts = (("prompt_cache_hit_tokens",), ("prompt_cache_miss_tokens",))
    return sum(_counts(reported, parts))


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
    return max(_counts(reported, ((each, f"{kind}_tokens") for each in details)), default=0)


def _cached_media(reported: Reported, kind: str) -> int:
    paths = ((each, "cached_tokens_details", f"{kind}_tokens") for each in PROMPT_DETAILS)
    return max(_counts(reported, paths), default=0)


def _total(reported: Reported, paths: tuple[Path, ...]) -> int | None:
    """The largest of the counts; None if one of them is not a count, or there is none."""
    found = [_value(reported, path) for path in paths]
    given = [each for each in found if each is not None]
    return max(given) if given and all(map(is_count, given)) else None


def _any(reported: Reported, paths: tuple[Path, ...]) -> bool:
    return any(_value(reported, path) is not None for path in paths)


def _counts(reported: Reported, paths: Iterable[Path]) -> Iterator[int]:
    """Those that can be believed."""
    for path in paths:
        if (count := _count(reported, path)) is not None:
            yield count


def _count(reported: Reported, path: Path) -> int | None:
    value = _value(reported, path)
    return value if is_count(value) else None


def is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_TOKENS


def _value(reported: Reported, path: Path) -> Any:
    value = reported.get(path[0])
    for name in path[1:]:
        value = value.get(name) if isinstance(value, dict) else None
    return value
