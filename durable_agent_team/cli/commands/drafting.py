"""`schema` and `init`: help for people who write a team file."""

import json as json_module
import os
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from durable_agent_team.cli.exit_codes import Code, CommandError
from durable_agent_team.cli.output import note, say, say_json
from durable_agent_team.cli.ui.atomic_file import write_new
from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.team import Identifier, Team
from durable_agent_team.process.project_root import TEAM_SCHEMA
from durable_agent_team.rules.pydantic_messages import NAME_REMEDY, shown

TEMPLATE = """\
# yaml-language-server: $schema={schema}
# The line above lets editors complete and check this file. All keys: docs/team-files.md
name: {name}
goal: Say in five sentences what a team of agents is good for.

# The one agent that knows the goal. It writes the answer from the result of the tasks.
orchestrator:
  budget_usd: 0.05      # a hard limit: its account refuses what does not fit
  max_tokens: 300

# Specialists. Each knows its own tasks and their inputs, never the goal.
agents:
  research:
    role: Researcher
    instructions: Report facts only, one a line.
    budget_usd: 0.02
    # model: NAME         # left out: the worker's DEFAULT_MODEL
    # on_exhausted: park  # or fallback, skip, fail
  editor:
    role: Editor
    instructions: Write plainly.
    budget_usd: 0.02

# What is to be done, and in which order: a task starts when all that it depends on is done.
# Without `tasks` (and `result`) the orchestrator plans them from the goal.
tasks:
  - id: uses
    agent: research
    ask: List what several agents can do side by side.
    # inputs: [notes.md]  # documents, by their paths from this file
  - id: limits
    agent: research
    ask: List what goes wrong when several agents work together.
  - id: text
    agent: editor
    ask: Write five sentences from the two lists.
    depends_on: [uses, limits]
    checks: {{min_length: 20}}
result: text
"""


class Drafted(Message):
    """What `init --json` prints."""

    team: str
    file: str


def team_schema() -> dict[str, Any]:
    """The JSON Schema of a team file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Team.model_json_schema(),
    }


def schema_text() -> str:
    """As it is committed in `teams/team.schema.json`."""
    return json_module.dumps(team_schema(), indent=2, ensure_ascii=False)


def schema(json: bool) -> int:
    """Prints it: indented, or on one line."""
    say(json_module.dumps(team_schema(), ensure_ascii=False) if json else schema_text())
    return Code.DONE


def init(name: str, json: bool) -> int:
    """Writes NAME.yaml; a file that is there is never touched."""
    try:
        TypeAdapter(Identifier).validate_python(name)
    except ValidationError as error:
        raise CommandError(
            Code.INPUT_WRONG,
            f"NAME = {shown(name)}: this is no name ({NAME_REMEDY})",
        ) from error
    file = Path(f"{name}.yaml")
    where = Path(os.path.relpath(TEAM_SCHEMA, file.resolve().parent)).as_posix()
    try:
        write_new(file, TEMPLATE.format(schema=where, name=name))
    except FileExistsError as error:
        raise CommandError(
            Code.INPUT_WRONG, f"NAME = {name}: {file} is there already (choose another name)"
        ) from error
    except OSError as error:
        told = f"NAME = {name}: {file} cannot be written here: {error.strerror}"
        remedy = "change to a folder that you may write to"
        raise CommandError(Code.INPUT_WRONG, f"{told} ({remedy})") from error
    if json:
        say_json(Drafted(team=name, file=str(file)))
    else:
        say(str(file))
        note(f"next: starter.py validate {file}, then starter.py run {file}")
    return Code.DONE
