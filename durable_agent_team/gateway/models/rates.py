"""A rate card: what each kind of token costs, exactly, and from which length of prompt it changes.

A rate that is absent is never free: it falls back to the one that the provider's bill would show
if it did not tell the kinds apart.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from durable_agent_team.gateway.models.token_usage import TokenUsage

SCALE = 10**9
"""USD per million tokens equals micro-USD per token; nine decimal places are kept."""
MICRO = 10**6

UsdPerMillion = Annotated[Decimal, Field(ge=0, le=10**6, decimal_places=9)]
UsdPerRequest = Annotated[Decimal, Field(ge=0, le=10**3, decimal_places=9)]


@dataclass(frozen=True, slots=True)
class ScaledRates:
    """Rates as whole numbers: micro-USD per token, or per request, times SCALE."""

    input: int
    cached: int
    cache_write: int
    cache_write_1h: int
    input_audio: int
    cached_audio: int
    input_image: int
    cached_image: int
    output: int
    reasoning: int
    output_audio: int
    output_image: int
    request: int
    highest_text: int = field(init=False)
    """The highest rate of a prompt without images and audio."""
    highest_output: int = field(init=False)

    def __post_init__(self) -> None:
        made = max(self.output, self.reasoning, self.output_audio, self.output_image)
        object.__setattr__(self, "highest_text", max(self.input, self.cached, self.cache_write))
        object.__setattr__(self, "highest_output", made)

    def of(self, usage: TokenUsage) -> int:
        """What these tokens cost, scaled: each is charged once, as the most specific kind."""
        cached_text = usage.cached_tokens - usage.cached_audio_tokens - usage.cached_image_tokens
        audio = usage.input_audio_tokens - usage.cached_audio_tokens
        image = usage.input_image_tokens - usage.cached_image_tokens
        plain = usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens - audio - image
        written = usage.cache_write_tokens - usage.cache_write_1h_tokens
        media = usage.output_audio_tokens + usage.output_image_tokens
        text = usage.completion_tokens - usage.reasoning_tokens - media
        return (
            self.request
            + plain * self.input
            + cached_text * self.cached
            + written * self.cache_write
            + usage.cache_write_1h_tokens * self.cache_write_1h
            + audio * self.input_audio
            + usage.cached_audio_tokens * self.cached_audio
            + image * self.input_image
            + usage.cached_image_tokens * self.cached_image
            + text * self.output
            + usage.reasoning_tokens * self.reasoning
            + usage.output_audio_tokens * self.output_audio
            + usage.output_image_tokens * self.output_image
        )

    def most(self, prompt: int, completion: int, parts: "PromptParts") -> int:
        """The most that this many tokens can cost, of whatever kind they are."""
        return self.request + prompt * self._highest_input(parts) + completion * self.highest_output

    def _highest_input(self, parts: "PromptParts") -> int:
        if parts is TEXT:
            return self.highest_text
        rates = [self.highest_text]
        if parts.long_cache:
            rates.append(self.cache_write_1h)
        if parts.audio:
            rates += [self.input_audio, self.cached_audio]
        if parts.images:
            rates += [self.input_image, self.cached_image]
        return max(rates)


@dataclass(frozen=True, slots=True)
class PromptParts:
    """What a request asks for that text alone does not cost."""

    audio: bool = False
    images: bool = False
    long_cache: bool = False
    """A part of the prompt is to be cached for an hour."""


TEXT = PromptParts()


class Rates(BaseModel):
    """USD per million tokens of each kind, and USD per request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_usd_per_million: UsdPerMillion
    output_usd_per_million: UsdPerMillion
    cached_input_usd_per_million: UsdPerMillion | None = None
    cache_write_usd_per_million: UsdPerMillion | None = None
    cache_write_1h_usd_per_million: UsdPerMillion | None = None
    reasoning_usd_per_million: UsdPerMillion | None = None
    input_audio_usd_per_million: UsdPerMillion | None = None
    cached_audio_usd_per_million: UsdPerMillion | None = None
    output_audio_usd_per_million: UsdPerMillion | None = None
    input_image_usd_per_million: UsdPerMillion | None = None
    cached_image_usd_per_million: UsdPerMillion | None = None
    output_image_usd_per_million: UsdPerMillion | None = None
    usd_per_request: UsdPerRequest | None = None

    @cached_property
    def scaled(self) -> ScaledRates:
        plain, output = self.input_usd_per_million, self.output_usd_per_million
        write = _first(self.cache_write_usd_per_million, plain)
        audio = _first(self.input_audio_usd_per_million, plain)
        image = _first(self.input_image_usd_per_million, plain)
        return ScaledRates(
            input=_scaled(plain),
            cached=_scaled(_first(self.cached_input_usd_per_million, plain)),
            cache_write=_scaled(write),
            cache_write_1h=_scaled(_first(self.cache_write_1h_usd_per_million, write)),
            input_audio=_scaled(audio),
            cached_audio=_scaled(_first(self.cached_audio_usd_per_million, audio)),
            input_image=_scaled(image),
            cached_image=_scaled(_first(self.cached_image_usd_per_million, image)),
            output=_scaled(output),
            reasoning=_scaled(_first(self.reasoning_usd_per_million, output)),
            output_audio=_scaled(_first(self.output_audio_usd_per_million, output)),
            output_image=_scaled(_first(self.output_image_usd_per_million, output)),
            request=_scaled(_first(self.usd_per_request, Decimal(0))) * MICRO,
        )


class PromptTier(Rates):
    """The rates of a request whose prompt has more than this many tokens. They hold for the whole
    request, not only for the tokens above."""

    above_prompt_tokens: int = Field(ge=1)


class RateCard(Rates):
    """Rates, and those of longer prompts."""

    tiers: tuple[PromptTier, ...] = Field((), max_length=20)

    def scaled_cost(self, usage: TokenUsage) -> int:
        """Scaled micro-USD, at the rates of the highest tier that the prompt reaches."""
        return self._rates(usage.prompt_tokens).of(usage)

    def scaled_most(self, prompt: int, completion: int, parts: PromptParts) -> int:
        """The most that a request with at most this many tokens can cost, in any tier it can reach.
        Scaled micro-USD."""
        amount = self.scaled.most(prompt, completion, parts)
        for tier in self.tiers:
            if tier.above_prompt_tokens < prompt:
                amount = max(amount, tier.scaled.most(prompt, completion, parts))
        return amount

    def _rates(self, prompt: int) -> ScaledRates:
        for tier in self._highest_first:
            if prompt > tier.above_prompt_tokens:
                return tier.scaled
        return self.scaled

    @cached_property
    def _highest_first(self) -> tuple[PromptTier, ...]:
        return tuple(sorted(self.tiers, key=lambda tier: -tier.above_prompt_tokens))


def _first(rate: Decimal | None, otherwise: Decimal) -> Decimal:
    return otherwise if rate is None else rate


def _scaled(amount: Decimal) -> int:
    return int(amount * SCALE)
