"""The start input of a run, read from a team file, or a `CommandError` with every problem."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.process.called_program import starter_command
from durable_agent_team.rules.counts import counted, more
from durable_agent_team.rules.pydantic_messages import shown
from durable_agent_team.rules.size_limits import prompt_problems, start_problems
from durable_agent_team.rules.validation import team_problems
from durable_agent_team.team_files.salvage import own_problems
from durable_agent_team.team_files.team_file import (
    FileProblem,
    TeamFileError,
    in_team_file,
    load_team,
)

MAX_SHOWN: Final = 50
"""More lines than a screen has, and fewer than scroll away what was said before them."""


def load_request(path: Path, goal: str | None, inputs: Sequence[str]) -> RunRequest:
    """The start input, free of the problems that can be found without the gateway."""
    try:
        request = load_team(path, goal, parse_inputs(inputs))
    except TeamFileError as error:
        raise CommandError(
            ExitCode.INVALID_INPUT, problem_text(file_problems(path, error), _all_of(path))
        ) from error
    problems = team_problems(request) or list(prompt_problems(request))
    if problems:
        text = problem_text(in_team_file(path, problems), _all_of(path))
        raise CommandError(ExitCode.INVALID_INPUT, text)
    return request


def start_input_problems(path: Path, request: RunRequest) -> list[FileProblem]:
    """What Temporal would refuse of a start input that no store takes large texts from."""
    return in_team_file(path, list(start_problems(request)))


def file_problems(
    path: Path, error: TeamFileError, catalog: ModelCatalog | None = None
) -> list[FileProblem]:
    """The problems of a file, and those of the team as a whole that do not follow from them."""
    found = list(error.problems)
    if error.partial is not None:
        found += in_team_file(path, own_problems(team_problems(error.partial, catalog), error.raw))
    return found


def parse_inputs(inputs: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of `--input TASK=FILE`. Raises `CommandError` for anything else."""
    wrong = [each for each in inputs if not all(each.partition("="))]
    if wrong:
        lines = [
            f"--input = {shown(each)}: not TASK=FILE (write --input market=news.md)"
            for each in wrong
        ]
        raise CommandError(ExitCode.INVALID_INPUT, "\n".join(lines))
    return [(task, file) for task, _, file in (each.partition("=") for each in inputs)]


def _all_of(path: Path) -> str:
    return starter_command("validate", str(path), options=["--all"])


def problem_text(problems: Sequence[FileProblem], print_all: str = "") -> str:
    """A line with their number, then a line for each of the first; the command `print_all` prints
    the rest."""
    count = len(problems)
    lines = [f"  {each}" for each in problems[:MAX_SHOWN]]
    if count > MAX_SHOWN:
        how = f": `{print_all}` prints all" if print_all else ""
        lines.append(f"  and {more(count - MAX_SHOWN, 'problem', 'problems')}{how}")
    return "\n".join([f"error: {counted(count, 'problem')}", *lines])
