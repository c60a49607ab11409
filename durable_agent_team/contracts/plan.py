"""The plan: the tasks as an explicit dependency graph, and a problem of an input."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.team import MAX_TASKS, Identifier, Task


class Plan(Message):
    """Written in the team file, or decomposed from the goal by the orchestrator."""

    tasks: tuple[Task, ...] = Field(min_length=1, max_length=MAX_TASKS)
    result: Identifier | None = None


def _cut_to(most: int) -> BeforeValidator:
    return BeforeValidator(lambda text: cut(text, most) if isinstance(text, str) else text)


class Problem(Message):
    """One thing that is wrong with an input, for the person who wrote it.

    Long values are cut: a problem that exceeds its bounds would fail the run that reports it.
    """

    field: Annotated[str, _cut_to(300)]
    value: Annotated[str, _cut_to(500)] = ""
    what: Annotated[str, _cut_to(2_000)]
    remedy: Annotated[str, _cut_to(1_000)] = ""

    def __str__(self) -> str:
        value = f" = {self.value}" if self.value else ""
        remedy, *to_paste = self.remedy.splitlines() or [""]
        told = f"{self.field}{value}: {self.what}" + (f" ({remedy})" if remedy else "")
        return "\n".join([told, *to_paste])
