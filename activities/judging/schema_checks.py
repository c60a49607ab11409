"""Checks the JSON Schemas of tasks: each different one once, and all of them within a time."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from durable_agent_team.contracts.output_schema import schema_problem
from durable_agent_team.contracts.plan import Problem


async def schema_problems(
    outputs: Mapping[str, Mapping[str, Any]], seconds: float
) -> dict[str, Problem]:
    """What is wrong with the outputs of a plan, by task id. In threads, as one may take two
    seconds. Those that were not reached in `seconds` are among the problems: a plan of a hundred
    costly schemas would hold a thread of the worker for minutes."""
    until = time.monotonic() + seconds
    known: dict[str, Problem | None] = {}
    found = {}
    for task_id, output in outputs.items():
        text = json.dumps(output, sort_keys=True)
        if text not in known:
            known[text] = (
                await asyncio.to_thread(schema_problem, output)
                if time.monotonic() < until
                else _not_reached(len(outputs), seconds)
            )
        if (problem := known[text]) is not None:
            found[task_id] = problem
    return found


def _not_reached(schemas: int, seconds: float) -> Problem:
    return Problem(
        field="output",
        what=f"to check the {schemas} schemas of this plan takes more than {seconds:g} seconds",
        remedy="make them smaller and flatter, or use the same one for several tasks",
    )
