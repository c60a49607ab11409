"""Checks the JSON Schemas of tasks: each different one once, and all of them within a time."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from durable_agent_team.contracts.output_schema import equal_schemas, schema_problem
from durable_agent_team.contracts.plan import Problem


async def schema_problems(
    outputs: Mapping[str, Mapping[str, Any]], seconds: float
) -> dict[str, Problem]:
    """What is wrong with the outputs of a plan, by task id. In threads, as one may take two
    seconds. Those that were not reached in `seconds` are among the problems: a plan of a hundred
    costly schemas would hold a thread of the worker for minutes."""
    until = time.monotonic() + seconds
    found = {}
    for output, task_ids in equal_schemas(outputs.items()):
        if time.monotonic() < until:
            problem = await asyncio.to_thread(schema_problem, output)
        else:
            problem = _not_reached(len(outputs), seconds)
        if problem is not None:
            found.update(dict.fromkeys(task_ids, problem))
    return found


def _not_reached(schemas: int, seconds: float) -> Problem:
    return Problem(
        field="output",
        what=f"to check the {schemas} schemas of this plan takes more than {seconds:g} seconds",
        remedy="make them smaller and flatter, or use the same one for several tasks",
    )
