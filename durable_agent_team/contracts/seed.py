"""What a run takes over from one that ended: hand-offs that are paid for, and the plan."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from durable_agent_team.contracts.base import Message, Usd
from durable_agent_team.contracts.call import MAX_ANSWER
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.team import MAX_TASKS, Identifier
from durable_agent_team.contracts.text_ref import Text, TextRef

RunId = Annotated[str, Field(min_length=1, max_length=1_000)]


class Paid(Message):
    """Where something was paid, and what it cost there. USD."""

    origin: RunId | None = None
    """None: in the run that the seed names. Another one where that run took it over itself."""
    cost_usd: Usd = Decimal(0)
    model: str | None = Field(None, max_length=200)
    """The model that made it."""
    same_model: bool = False
    """It is taken over only if its agent would still call that model: the worker's default, which
    an agent without a model gets, is known only to the run."""


class SeedAnswer(Paid):
    """A hand-off, or a run's final answer: itself, or with `output_ref` in the store."""

    output: str = Field("", max_length=MAX_ANSWER)
    output_ref: TextRef | None = None
    fingerprint: str | None = Field(None, max_length=64)
    """Identifies the request that it answers (`rules.fingerprints`), for a later `--reuse`."""

    @property
    def text(self) -> Text:
        """As it travels."""
        return self.output if self.output_ref is None else self.output_ref


class SeedPlan(Paid):
    """A plan that is not the team file's: the orchestrator made or revised it, or a person did."""

    plan: Plan
    reviews: int = Field(0, ge=0, le=5)
    """How many reviews have revised it; the run holds those that are left of `review_rounds`."""
    added: tuple[Identifier, ...] = Field((), max_length=MAX_TASKS)
    """The tasks that a person added."""
    planned: SeedAnswer | None = None
    """As the orchestrator first wrote it, for a later `--reuse`."""


class Seed(Message):
    """The tasks that are done when the run starts. Every dependency of a seeded task is seeded.

    A hand-off is one that passed its task's checks in the run that made it.
    """

    origin: RunId
    plan: SeedPlan | None = None
    tasks: dict[Identifier, SeedAnswer] = Field({}, max_length=MAX_TASKS)
    answer: SeedAnswer | None = None
    """The final answer; it counts if no task runs."""
