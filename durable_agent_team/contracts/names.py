"""The public names: the Temporal CLI, the UI and scripts use them. Changing one breaks somebody."""

from typing import Final

TASK_QUEUE: Final = "orchestrator"
WORKFLOW: Final = "Orchestrator"

ORCHESTRATOR_AGENT: Final = "orchestrator"
"""The orchestrator's own name among the agents, in accounts and in reports."""

_IS_INSTALLED: Final = "site-packages" in __file__ or "dist-packages" in __file__
_INSTALLED_STARTER: Final = "durable-agent-team"
_CHECKOUT_STARTER: Final = ".venv/bin/python starter.py"
STARTERS: Final = (_INSTALLED_STARTER, _CHECKOUT_STARTER)
"""How commands begin in messages: another process can be installed otherwise than this one."""
STARTER: Final = _INSTALLED_STARTER if _IS_INSTALLED else _CHECKOUT_STARTER
"""How a person calls the command line, in every command that a run shows to one: in Temporal's UI,
in a notification, in the query `state`. A checkout's commands run in its folder."""

# Search attributes (typed, registered by the local stack and checked by the worker).
ATTRIBUTE_TEAM: Final = "Team"
ATTRIBUTE_STATUS: Final = "RunStatus"
ATTRIBUTE_SPENT: Final = "SpentUsd"

STARTED_MEMO: Final = "started_at"
"""In the memo of a run that has continued as new: when its first execution began, in ISO 8601."""

FORMAT_MEMO: Final = "history_format"
"""In the memo that a run is started with: the format of its history, `HISTORY_FORMAT`."""

HISTORY_FORMAT: Final = 2
"""Runs of format 1, which have no such memo, write events that a replay does not need
(docs/adr/057)."""

IDENTIFIER: Final = r"^[a-z][a-z0-9_-]{0,39}$"
"""Ids of agents and tasks: they stand in histories, ledgers and file names."""
