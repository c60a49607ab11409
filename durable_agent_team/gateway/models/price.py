"""What a model costs: the rates of each kind of token, by length of prompt, service tier and time.

A charge is exact and rounded up once to a micro-dollar. A bound is at the highest price that can
apply.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property

from pydantic import Field

from durable_agent_team.gateway.models.rates import SCALE, TEXT, PromptParts, RateCard, Rates
from durable_agent_team.gateway.models.token_usage import TokenUsage


class Period(RateCard):
    """Rates from a day on, or between two times of each day, in UTC."""

    from_date: date | None = None
    from_time: time | None = None
    to_time: time | None = None

    def is_active(self, at: datetime) -> bool:
        """Whether it holds at that time; a period past midnight ends on the next day."""
        if self.from_date is not None and at.date() < self.from_date:
            return False
        if self.from_time is None or self.to_time is None:
            return True
        now = at.time()
        if self.from_time <= self.to_time:
            return self.from_time <= now < self.to_time
        return now >= self.from_time or now < self.to_time

    def can_begin_by(self, day: date) -> bool:
        return self.from_date is None or self.from_date <= day


class Price(RateCard):
    """One model's entry. `message_tokens` and `request_tokens` are added to the upper bound."""

    context_tokens: int | None = Field(None, ge=1)
    default_max_tokens: int = Field(1024, ge=1)
    message_tokens: int = Field(16, ge=0)
    request_tokens: int = Field(64, ge=0)
    image_tokens: int | None = Field(None, ge=1)
    """The most tokens that one image of a request has. Without it, the context bounds images."""
    parameters: tuple[str, ...] = ()
    note: str = ""
    service_tiers: dict[str, RateCard] = Field(default={}, max_length=20)
    """The rates of other service tiers, such as `flex`, by the name that a request gives."""
    periods: tuple[Period, ...] = Field((), max_length=50)
    """The last of these that is active takes the place of the entry's own rates."""
    source: str = ""
    """Where the rates come from. It is in the ledger's lines."""

    def cost(self, prompt_tokens: int, completion_tokens: int) -> int:
        """Micro-USD of plain tokens, rounded up once."""
        return self.charge(TokenUsage(prompt_tokens, completion_tokens))

    def charge(
        self, usage: TokenUsage, service_tier: str | None = None, at: datetime | None = None
    ) -> int:
        """Micro-USD of a request, rounded up once. `service_tier` is the one that served it, `at`
        the time of its answer, by default now."""
        card = self.service_tiers.get(service_tier) if service_tier is not None else None
        return -(-(card or self._card(at)).scaled_cost(usage) // SCALE)

    def saved(
        self, usage: TokenUsage, service_tier: str | None = None, at: datetime | None = None
    ) -> int:
        """What caching saved against the same tokens without it, in micro-USD. Negative for a call
        that wrote more to the cache than it read from it."""
        if not usage.cached_tokens and not usage.cache_write_tokens:
            return 0
        whole = self.charge(usage.without_caching(), service_tier, at)
        return whole - self.charge(usage, service_tier, at)

    def bound(
        self,
        body_bytes: int,
        messages: int,
        max_tokens: int,
        *,
        parts: PromptParts = TEXT,
        service_tier: str | None = None,
    ) -> int:
        """The most that a request can cost, in micro-USD: it has no more tokens than bytes."""
        prompt = body_bytes + messages * self.message_tokens + self.request_tokens
        return self.most(prompt, max_tokens, parts=parts, service_tier=service_tier)

    def most(
        self,
        prompt: int,
        completion: int,
        *,
        parts: PromptParts = TEXT,
        service_tier: str | None = None,
    ) -> int:
        """The most that this many tokens can cost, in micro-USD: in any tier that the prompt can
        reach, at any time of the day, by the standard service or the one that is requested."""
        scaled = self.scaled_most(prompt, completion, parts)
        for card in self._alternatives(service_tier):
            scaled = max(scaled, card.scaled_most(prompt, completion, parts))
        return -(-scaled // SCALE)

    @cached_property
    def prices_caching(self) -> bool:
        """Whether what is cached for an hour has a price of its own, in any of the rates."""
        cards = (self, *self.periods, *self.service_tiers.values())
        rates = (each for card in cards for each in (card, *card.tiers))
        return any(each.cache_write_1h_usd_per_million is not None for each in rates)

    def _card(self, at: datetime | None) -> RateCard:
        """The rates that hold at that time."""
        if not self.periods:
            return self
        at = at or datetime.now(UTC)
        return next((each for each in reversed(self.periods) if each.is_active(at)), self)

    def _alternatives(self, service_tier: str | None) -> Iterator[RateCard]:
        """The rates that can come instead of the entry's own while a call is made."""
        if self.periods:
            tomorrow = datetime.now(UTC).date() + timedelta(days=1)
            yield from (each for each in self.periods if each.can_begin_by(tomorrow))
        if service_tier is not None and service_tier in self.service_tiers:
            yield self.service_tiers[service_tier]

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the entry, so that a model refused for a wrong entry is accepted again after
        the entry was corrected. An entry without further rates keeps the one of earlier versions.
        """
        new = {name for name in NEW_FIELDS if not getattr(self, name)}
        dumped = self.model_dump_json(exclude={*new, "source"})
        return hashlib.sha256(dumped.encode()).hexdigest()[:16]


NEW_FIELDS = (Rates.model_fields.keys() | {"tiers", "service_tiers", "periods", "image_tokens"}) - {
    "input_usd_per_million",
    "output_usd_per_million",
}
"""Those that entries did not have before prices knew several kinds of tokens."""
