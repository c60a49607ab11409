"""A task file: one task in YAML, as under `tasks:` in a team file."""

from pathlib import Path

from pydantic import ValidationError

from durable_agent_team.contracts.output_schema import schema_problem
from durable_agent_team.contracts.team import Task
from durable_agent_team.team_files.error_messages import in_words
from durable_agent_team.team_files.yaml_file import TeamFileError, YamlFile

STANDARD_INPUT = "-"


def load_task(path: str) -> Task:
    """Reads a task file, or standard input for `-`. Raises `TeamFileError` with every problem.

    The run itself checks whether the task fits into it.
    """
    file = YamlFile(None if path == STANDARD_INPUT else Path(path))
    raw = file.parse("task", "start with `id:`, `agent:` and `ask:`")
    try:
        task = Task.model_validate(raw)
    except ValidationError as error:
        for where, problem in in_words(error, of=Task):
            file.at(where, problem)
        raise TeamFileError(file.problems) from None
    found = schema_problem(task.output) if isinstance(task.output, dict) else None
    if found is not None:
        file.at(("output",), found)
    if file.problems:
        raise TeamFileError(file.problems)
    return task
