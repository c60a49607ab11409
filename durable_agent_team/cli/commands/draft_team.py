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
    name: Annotated[str, typer.Argument(metavar="NAME", help="The team's name.")],
    json: Json = False,
) -> int:
    """Write NAME.yaml: a small team file with comments. It validates as it is."""
    from durable_agent_team.cli.json_output import Drafted

    _check_name(name)
    file = Path(f"{name}.yaml")
    _write(file, name)
    print_answer(Drafted(team=name, file=str(file)), str(file), json)
    if not json:
        print_note(f"next: {starter_command('validate', str(file))}")
        print_note(f"then: {starter_command('run', str(file))}")
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
    from durable_agent_team.cli.atomic_file import write_new
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
        remedy = "change to a folder that you may write to"
        raise CommandError(ExitCode.INVALID_INPUT, f"{problem} ({remedy})") from error
