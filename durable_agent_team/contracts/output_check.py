"""The input and the result of the activity that checks the JSON Schemas of tasks."""

from typing import Any

from pydantic import Field

from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.team import Identifier


class OutputCheck(Message):
    """Every schema is within the bounds of `schema_size`."""

    output: dict[str, Any]
    outputs: dict[Identifier, dict[str, Any]] = Field({})
    """The outputs of a plan's tasks, by task id; `output` is empty then."""


class OutputVerdict(Message):
    """`problem` is None for a valid schema."""

    problem: Problem | None
    problems: dict[Identifier, Problem] = Field({})
    """For a plan, the tasks whose schema is invalid, by task id."""
