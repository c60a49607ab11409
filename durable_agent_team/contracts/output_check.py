"""The input and the result of the activity that checks a task's JSON Schema."""

from typing import Any

from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.plan import Problem


class OutputCheck(Message):
    """`output` is within the bounds of `schema_size`."""

    output: dict[str, Any]


class OutputVerdict(Message):
    """`problem` is None for a valid schema."""

    problem: Problem | None
