"""`schema` and `init`: help with writing a team file."""

import os
from pathlib import Path
from typing import Annotated

import typer

from durable_agent_team.cli.arguments import Json
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.output import print_answer, print_line, print_note
from durable_agent_team.process.called_program import starter_command
from durable_agent_team.rules.pydantic_messages import NAME_REMEDY, shown

app = typer.Typer(rich_markup_mode=None)


@app.command()
def schema(
    json: Annotated[bool, typer.Option("--json", help="On one line, for programs.")] = False,
) -> int:
    """Print the JSON Schema of a team file. For editors and programs."""
    from json import dumps

    from durable_agent_team.cli.team_template import schema_text, team_schema

    print_line(dumps(team_schema(), ensure_ascii=False) if json else schema_text())
    return ExitCode.DONE


@app.command()
def init(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The team's name.", show_default=False)
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TEAM",
            help="Start from a team of the gallery, with its documents. Without TEAM: list them.",
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Write NAME.yaml: a small team file with comments. It validates as it is."""
    from durable_agent_team.cli.json_output import Drafted

    if source == "":
        return _list_gallery(json)
    if name is not None:
        _check_name(name)
    if source is not None:
        return _copy(source, name, json)
    if name is None:
        remedy = f"write `{starter_command('init', 'my-team')}`, or --from for a list of teams"
        raise CommandError(ExitCode.INVALID_INPUT, f"NAME: is missing ({remedy})")
    file = Path(f"{name}.yaml")
    _write(file, name)
    print_answer(Drafted(team=name, file=str(file)), str(file), json)
    if not json:
        _print_next(str(file))
    return ExitCode.DONE


def _print_next(file: str) -> None:
    print_note(f"next: {starter_command('validate', file)}")
    print_note(f"then: {starter_command('run', file)}")


def _list_gallery(json: bool) -> int:
    """Each team with what it is for."""
    from durable_agent_team.cli.gallery import gallery
    from durable_agent_team.cli.json_output import GalleryEntry

    for each in gallery():
        entry = GalleryEntry(name=each.name, summary=each.summary)
        print_answer(entry, f"{each.name:<15}  {each.summary}", json)
    if not json:
        print_note(f"start from one: {starter_command('init', 'my-team')} --from NAME")
    return ExitCode.DONE


def _copy(source: str, name: str | None, json: bool) -> int:
    from durable_agent_team.cli.gallery import copy_team, find_team
    from durable_agent_team.cli.json_output import Drafted

    files = [str(each) for each in copy_team(find_team(source), name)]
    drafted = Drafted(team=Path(files[0]).stem, file=files[0])
    print_answer(drafted, "\n".join(files), json)
    if not json:
        _print_next(files[0])
    return ExitCode.DONE


def _check_name(name: str) -> None:
    from pydantic import TypeAdapter, ValidationError

    from durable_agent_team.contracts.team import Identifier

    try:
        TypeAdapter(Identifier).validate_python(name)
    except ValidationError as error:
        problem = f"NAME = {shown(name)}: this is not a name ({NAME_REMEDY})"
        raise CommandError(ExitCode.INVALID_INPUT, problem) from error


def _write(file: Path, name: str) -> None:
    """Never replaces a file."""
    from durable_agent_team.cli.atomic_file import write_new, write_remedy
    from durable_agent_team.cli.team_template import TEMPLATE
    from durable_agent_team.process.project_root import TEAM_SCHEMA

    schema = Path(os.path.relpath(TEAM_SCHEMA, file.resolve().parent)).as_posix()
    try:
        write_new(file, TEMPLATE.format(schema=schema, name=name))
    except FileExistsError as error:
        problem = f"NAME = {name}: {file} is there already (choose another name)"
        raise CommandError(ExitCode.INVALID_INPUT, problem) from error
    except OSError as error:
        problem = f"NAME = {name}: {file} cannot be written here: {error.strerror}"
        remedy = write_remedy(error, "change to a folder that you may write to")
        raise CommandError(ExitCode.INVALID_INPUT, f"{problem} ({remedy})") from error
