"""A task file: one task in YAML, as under `tasks:` in a team file."""

from pathlib import Path

from pydantic import ValidationError

from durable_agent_team.contracts.output_schema import schema_problem
from durable_agent_team.contracts.team import Task
from durable_agent_team.team_files.error_messages import in_words
from durable_agent_team.team_files.yaml_file import Reading, TeamFileError

STANDARD_INPUT = "-"


def load_task(path: str) -> Task:
    """Reads a task, of `-` from standard input; raises `TeamFileError` with every problem.

    Whether the task fits into a run, the run says.
    """
    if path == STANDARD_INPUT:
        reading = Reading(Path("/dev/stdin"), name="standard input")
    else:
        reading = Reading(Path(path))
    raw = reading.parse("task", "start with `id:`, `agent:` and `ask:`")
    try:
        task = Task.model_validate(raw)
    except ValidationError as error:
        for where, problem in in_words(error, of=Task):
            reading.at(where, problem)
        raise TeamFileError(reading.problems) from None
    found = schema_problem(task.output) if isinstance(task.output, dict) else None
    if found is not None:
        reading.at(("output",), found)
    if reading.problems:
        raise TeamFileError(reading.problems)
    return task
