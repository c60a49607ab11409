"""A run that has ended, as far as another run can take it over. Filled by `client.ended_runs`."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.seed import SeedAnswer, SeedPlan
from durable_agent_team.contracts.text_ref import Text, TextRef


@dataclass(frozen=True)
class Made:
    """A checked answer of an agent, and what all the calls for it have cost. USD."""

    output: Text
    cost_usd: Decimal
    fingerprint: str | None
    """The fingerprint of the request that it answers; None if it is not known."""
    model: str | None
    origin: str
    """The run that paid it."""


@dataclass(frozen=True)
class Acted:
    """A call of a tool with effects: once that has run, or may have."""

    task: str
    tool: str
    arguments: str
    is_known: bool
    """It has a result."""


@dataclass(frozen=True)
class EndedRun:
    """The contents of a run."""

    id: str
    request: RunRequest
    """With its team's settings as they were at the end, and without its own seed."""
    plan: SeedPlan | None
    """As it was at the end. None where it is the team file's, or was never made."""
    planned: Made | None
    """The orchestrator's first valid plan, as it wrote it."""
    handoffs: dict[str, Made]
    """The hand-offs of the tasks that are done."""
    answer: Made | None
    acted: tuple[Acted, ...] = ()
    """By the run's own tools; what a program did is not in the history."""

    @property
    def whole_plan(self) -> Plan | None:
        """The tasks as they were at the end, and the result."""
        if self.plan is not None:
            return self.plan.plan
        team = self.request.team
        return Plan(tasks=team.tasks, result=team.result) if team.tasks else None


def seeded(made: Made, run: str, *, same_model: bool = False) -> SeedAnswer:
    """As another run takes it over, from `run`. Sets only what is known, as the start input is
    kept small."""
    given: dict[str, Any] = {
        "origin": None if made.origin == run else made.origin,
        "fingerprint": made.fingerprint,
        "model": made.model,
        "same_model": same_model or None,
    }
    known = {name: value for name, value in given.items() if value is not None}
    if isinstance(made.output, TextRef):
        return SeedAnswer(output_ref=made.output, cost_usd=made.cost_usd, **known)
    return SeedAnswer(output=made.output, cost_usd=made.cost_usd, **known)
