"""What can be changed in a running run: an agent's settings and the run's limits."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import AwareDatetime, BeforeValidator, model_validator
from pydantic_core import PydanticCustomError

from durable_agent_team.contracts.base import BudgetUsd, Message, Usd, Written
from durable_agent_team.contracts.team import (
    Attempts,
    Identifier,
    Instructions,
    MaxTokens,
    ModelName,
    Parallel,
    TimeoutSeconds,
)

_HOW = "write it like 2026-12-31T18:00:00+01:00 or 2026-12-31T17:00:00Z"


def _time_with_offset(value: Any) -> datetime:
    """Numbers are refused: they could be seconds or milliseconds."""
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise PydanticCustomError("no_time", f"this is not an ISO-8601 time ({_HOW})") from None
    if at.utcoffset() is None:
        raise PydanticCustomError("no_offset", f"its offset from UTC is missing ({_HOW})")
    return at


Deadline = Annotated[AwareDatetime, BeforeValidator(_time_with_offset)]
"""ISO 8601 with an offset from UTC."""


class Changes(Written):
    """Optional fields of which at least one is given; an omitted key changes nothing."""

    nullable: ClassVar[frozenset[str]] = frozenset()
    """Fields for which null is a value."""

    @model_validator(mode="after")
    def _changes_something(self) -> "Changes":
        fields = type(self).model_fields
        optional = [name for name, field in fields.items() if not field.is_required()]
        given = [name for name in optional if name in self.model_fields_set]
        if not given:
            raise PydanticCustomError(
                "nothing_to_change", f"nothing to change: give one or more of {', '.join(optional)}"
            )
        for name in given:
            if getattr(self, name) is None and name not in self.nullable:
                raise PydanticCustomError(
                    "null_is_no_value", f"{name} = null: leave the key out to keep what there is"
                )
        return self


class AdjustAgent(Changes):
    """For the agent's calls that have not started. `orchestrator` is an agent too."""

    agent: Identifier
    model: ModelName | None = None
    max_attempts: Attempts | None = None
    timeout_seconds: TimeoutSeconds | None = None
    instructions: Instructions | None = None
    max_tokens: MaxTokens | None = None


class AgentAdjusted(Message):
    """The agent's settings as they are now; `model` is the default where the team names none."""

    stays_inline: ClassVar[bool] = True

    agent: Identifier
    model: str
    max_attempts: int
    timeout_seconds: float
    instructions: str
    max_tokens: int | None = None
    """None from a workflow of an earlier version."""


class AdjustRun(Changes):
    """For what has not started. `deadline` null takes the deadline away. USD."""

    nullable: ClassVar[frozenset[str]] = frozenset({"deadline"})

    max_parallel: Parallel | None = None
    deadline: Deadline | None = None
    budget_usd: BudgetUsd | None = None


class RunAdjusted(Message):
    """The run's limits as they are now; null where there is none. USD."""

    max_parallel: int
    deadline: datetime | None
    budget_usd: Usd | None
