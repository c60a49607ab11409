"""The folders of a process: the project's, with `.env` and `.data`, and those of shipped files.

In a checkout the project is the checkout. For an installed package it is the working directory,
and the worker's code and the schema of team files are inside the package (see pyproject.toml).
"""

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parents[1]
_INSTALLED_WORKER: Final = _PACKAGE / "_worker"

IS_CHECKOUT: Final = not _INSTALLED_WORKER.is_dir()
PROJECT_ROOT: Final = _PACKAGE.parent if IS_CHECKOUT else Path.cwd()
WORKER_SCRIPT: Final = (PROJECT_ROOT if IS_CHECKOUT else _INSTALLED_WORKER) / "worker.py"
TEAMS: Final = PROJECT_ROOT / "teams" if IS_CHECKOUT else _PACKAGE / "team_files" / "teams"
"""Example teams with their documents, and the schema of team files."""
TEAM_SCHEMA: Final = (TEAMS if IS_CHECKOUT else _PACKAGE / "team_files") / "team.schema.json"

START_STACK: Final = "make up" if IS_CHECKOUT else "python -m durable_agent_team.local_stack"
START_WORKER: Final = ".venv/bin/python worker.py" if IS_CHECKOUT else "durable-agent-team-worker"
