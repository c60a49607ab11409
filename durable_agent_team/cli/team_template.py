"""The team file that `init` writes, and the JSON Schema of team files that `schema` prints."""

import json
from typing import Any

from durable_agent_team.contracts.team import Team

TEMPLATE = """\
# yaml-language-server: $schema={schema}
# The line above lets editors complete and check this file. All keys: docs/team-files.md
name: {name}
goal: Say in five sentences what a team of agents is good for.

# The one agent that knows the goal. It writes the answer from the result of the tasks.
orchestrator:
  budget_usd: 0.05      # a hard limit: its account refuses what does not fit
  max_tokens: 300
  timeout_seconds: 600  # of one call: the bundled model shares your processor

# Specialists. Each knows its own tasks and their inputs, never the goal.
agents:
  research:
    role: Researcher
    instructions: Report facts only, one a line.
    budget_usd: 0.02
    timeout_seconds: 600
    # model: NAME         # left out: the worker's DEFAULT_MODEL
    # on_exhausted: park  # or fallback, skip, fail
  editor:
    role: Editor
    instructions: Write plainly.
    budget_usd: 0.02
    timeout_seconds: 600

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


def team_schema() -> dict[str, Any]:
    """The JSON Schema of a team file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Team.model_json_schema(),
    }


def schema_text() -> str:
    """The schema, indented: the text of `teams/team.schema.json`."""
    return json.dumps(team_schema(), indent=2, ensure_ascii=False)
