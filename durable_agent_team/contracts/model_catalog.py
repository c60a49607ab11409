"""What can be called and at which price: the answer of the gateway's list of models."""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from durable_agent_team.contracts.base import Message

PER_MILLION = Decimal(1_000_000)
MAX_TIERS = 20


class PromptTier(Message):
    """The highest prices, in USD per million tokens, of a request whose prompt is longer."""

    above_tokens: int
    input_usd: Decimal
    output_usd: Decimal


class ModelPrice(Message):
    """USD per million tokens, and the context window in tokens where it is known."""

    model: str = Field(max_length=200)
    input_usd: Decimal | None = None
    output_usd: Decimal | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    """The longest answer that the model can give, where it is known."""
    upstream: str | None = Field(None, max_length=60)
    """The gateway's name for who serves it."""
    dearest_input_usd: Decimal | None = None
    """The highest price of any text input, such as writing to a cache; None means `input_usd`."""
    dearest_output_usd: Decimal | None = None
    """The highest price of any output, such as thinking; None means `output_usd`."""
    request_usd: Decimal = Decimal(0)
    """Charged for each request, whatever it contains."""
    tiers: tuple[PromptTier, ...] = Field((), max_length=MAX_TIERS)
    cached_input_usd: Decimal | None = None
    """The price of input that the provider reads from its cache; None means `input_usd`."""
    planning: Literal["narrow", "whole"] | None = None
    """The form in which the model is asked for plans; None is the whole one, where the catalog
    `plans_by_model`."""
    tools: Literal["native", "none"] | None = None
    """Whether the model takes `tools`, or fills the schema of an action instead; None is native."""
    kind: Literal["embedding"] | None = None
    """None is a model that answers chats, as agents need one."""

    @property
    def is_priced(self) -> bool:
        """Both prices are known; a call cannot be bounded with only one."""
        return self.input_usd is not None and self.output_usd is not None

    def most_usd(self, prompt_tokens: int, output_tokens: int) -> Decimal | None:
        """The most that a request with this many tokens can cost, of whatever kind they are; None
        without a price."""
        if self.input_usd is None or self.output_usd is None:
            return None
        dearest = self.dearest_output_usd
        prices = [
            (
                self.input_usd if self.dearest_input_usd is None else self.dearest_input_usd,
                self.output_usd if dearest is None else dearest,
            ),
            *(
                (tier.input_usd, tier.output_usd)
                for tier in self.tiers
                if tier.above_tokens < prompt_tokens
            ),
        ]
        most = max(prompt_tokens * given + output_tokens * made for given, made in prices)
        return most / PER_MILLION + self.request_usd

    @property
    def highest_output_usd(self) -> Decimal | None:
        """The price of a million output tokens in the most expensive tier."""
        if self.output_usd is None:
            return None
        more = [self.dearest_output_usd or self.output_usd, *(t.output_usd for t in self.tiers)]
        return max(more)


class UnavailableModel(Message):
    """A model that the gateway was asked for and cannot call, and why: `needs` names the settings
    that are missing, `nearest` names that look like it."""

    model: str = Field(max_length=200)
    needs: str = Field("", max_length=200)
    nearest: tuple[str, ...] = Field((), max_length=5)


class ReadModels(Message):
    """The models that a team names. Without them: the whole list."""

    names: tuple[str, ...] = Field((), max_length=2_100)


class ModelCatalog(Message):
    """What the gateway can serve. `priced` is false if the endpoint reports no prices."""

    models: tuple[ModelPrice, ...] = Field((), max_length=2_100)
    default_model: str | None = None
    priced: bool = False
    max_call_seconds: float | None = Field(None, gt=0)
    """The longest that the gateway lets a call take; None where the endpoint does not say."""
    unavailable: tuple[UnavailableModel, ...] = Field((), max_length=2_100)
    """Models that were asked for by name and cannot be called."""
    partial: bool = False
    """Whether it has only the models that were asked for, since a gateway can know thousands and
    the catalog is in every run's history."""
    scopes: bool | None = None
    """Whether the endpoint has scopes, which the calls of programs need; None where it is not known
    before the first call."""
    charges: bool | None = None
    """Whether accounts can be charged for calls of tools; None in runs of earlier versions."""
    accounts_locally: bool = False
    """Whether the run opens and closes its accounts by local activities. Comes with the catalog,
    which is in every run's history: runs of earlier versions do not have it, and replay as before.
    """
    no_idle_share: bool = False
    """An orchestrator that is never called has no share of the team's budget: not so in runs that
    began with an earlier version."""
    spend_signals: bool = False
    """Whether the activity that runs a program signals what it has cost. In runs of earlier
    versions the workflow reads the ledger instead, by a timer.
    """
    plans_by_model: bool = False
    """Whether each model's `planning` says in which form it is asked for plans. Runs of earlier
    versions do not have it: all their models plan in the narrow form."""
    plans_with_room: bool = False
    """Whether plans and reviews in the whole form may be longer than an agent's default
    `max_tokens`, reviews may add more than three tasks, and the documents of a planned team count
    in its shares: not so in runs that began with an earlier version."""
