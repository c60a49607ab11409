"""The teams that come with the package: what each is for, and a copy of one to start from."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from durable_agent_team.cli.atomic_file import write_new, write_remedy
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.contracts.team import Team
from durable_agent_team.contracts.tool_kinds import PythonTool
from durable_agent_team.process.project_root import TEAM_SCHEMA, TEAMS
from durable_agent_team.rules.nearest_names import choice
from durable_agent_team.rules.pydantic_messages import shown
from durable_agent_team.team_files.team_file import load_team

REAL_MODEL = "With a real model:"
"""The teams of the gallery say this; the other examples are for the demo and the documentation."""


@dataclass(frozen=True)
class GalleryTeam:
    """One file. `summary` is the first sentence of its comment."""

    name: str
    summary: str
    file: Path


def gallery() -> list[GalleryTeam]:
    """The teams to start from, by name."""
    return [each for each in _all_teams() if REAL_MODEL in each.file.read_text(encoding="utf-8")]


def find_team(name: str) -> GalleryTeam:
    """Also one of the other examples. Raises `CommandError` with the nearest name."""
    known = {each.name: each for each in _all_teams()}
    found = known.get(name.replace("-", "_"))
    if found is None:
        remedy = choice(name, known)
        text = f"--from = {shown(name)}: there is no such team ({remedy})"
        raise CommandError(ExitCode.INVALID_INPUT, text)
    return found


def copy_team(source: GalleryTeam, name: str | None) -> list[Path]:
    """Writes NAME.yaml with its documents and its functions into the working directory, and returns
    the files that are new. Nothing is replaced: raises `CommandError` if another file has one of
    the names."""
    request = load_team(source.file)
    team = name or request.team.name
    file = Path(f"{team}.yaml")
    texts = {file: _renamed(source.file.read_text(encoding="utf-8"), team, file)}
    texts |= {Path(path): text for path, text in request.sources.items()}
    texts |= {path: (TEAMS / path).read_text(encoding="utf-8") for path in _modules(request.team)}
    missing = [path for path in texts if not _is_same(path, texts[path])]
    if taken := [path for path in missing if path.exists()]:
        text = f"{taken[0]} is there already (choose another NAME, or another folder)"
        raise CommandError(ExitCode.INVALID_INPUT, text)
    if file not in missing:
        raise CommandError(ExitCode.INVALID_INPUT, f"{file} is there already (choose another NAME)")
    for path in sorted(missing, key=lambda each: each == file):  # the team last
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_new(path, texts[path])
        except OSError as error:
            problem = f"{path} cannot be written here: {error.strerror}"
            remedy = write_remedy(error, "change to a folder that you may write to")
            raise CommandError(ExitCode.INVALID_INPUT, f"{problem} ({remedy})") from error
    return [file, *(path for path in missing if path != file)]


def _modules(team: Team) -> list[Path]:
    """The files of the functions that are tools, below the folder of the teams."""
    tools = [tool for agent in team.agents.values() for tool in agent.tools]
    named = [each.python.partition(":")[0] for each in tools if isinstance(each, PythonTool)]
    return [Path(*module.split(".")).with_suffix(".py") for module in dict.fromkeys(named)]


def _all_teams() -> Iterator[GalleryTeam]:
    for file in sorted(TEAMS.glob("*.yaml")):
        yield GalleryTeam(file.stem, _summary(file.read_text(encoding="utf-8")), file)


def _summary(text: str) -> str:
    """The first sentence of the comment below the line for editors."""
    lines = text.splitlines()[1:]
    comment: list[str] = []
    for line in lines:
        if not line.startswith("# "):
            break
        comment.append(line[2:])
    return re.split(r"(?<=[a-z])\. ", " ".join(comment))[0].rstrip(".") + "."


def _renamed(text: str, name: str, file: Path) -> str:
    """The text with the new team's name, and with the way to the schema from the new file."""
    schema = Path(os.path.relpath(TEAM_SCHEMA, file.resolve().parent)).as_posix()
    text = text.replace("$schema=team.schema.json", f"$schema={schema}", 1)
    return re.sub(r"(?m)^name: .*$", f"name: {name}", text, count=1)


def _is_same(path: Path, text: str) -> bool:
    try:
        return path.is_file() and path.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        return False
