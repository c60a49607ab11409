"""The plan: the tasks as an explicit dependency graph, and what can be wrong with one."""

from pydantic import Field

from contracts.model import Message
from contracts.team import Identifier, Task


class Plan(Message):
    """Written in the team file, or decomposed from the goal by the orchestrator."""

    tasks: tuple[Task, ...] = Field(min_length=1, max_length=1_000)
    result: Identifier | None = None


class Problem(Message):
    """One thing that is wrong with an input, in words for the person who wrote it."""

    field: str = Field(max_length=300)
    value: str = Field("", max_length=500)
    what: str = Field(max_length=2_000)
    remedy: str = Field("", max_length=1_000)

    def __str__(self) -> str:
        value = f" = {self.value}" if self.value else ""
        remedy, *to_paste = self.remedy.splitlines() or [""]
        told = f"{self.field}{value}: {self.what}" + (f" ({remedy})" if remedy else "")
        return "\n".join([told, *to_paste])
