"""The memo that an execution was started with."""

from contextlib import suppress
from typing import Any

from temporalio import workflow

from durable_agent_team.contracts.names import FORMAT_MEMO, HISTORY_FORMAT

with workflow.unsafe.imports_passed_through():  # the class of which the converter makes objects
    from durable_agent_team.contracts.undecodable import Undecodable


def start_memo() -> dict[str, Any]:
    """Without what this converter cannot decode."""
    values = {}
    for key in workflow.info().raw_memo:
        with suppress(Exception):
            values[key] = workflow.memo_value(key)
    return {key: each for key, each in values.items() if not isinstance(each, Undecodable)}


def has_newest_format() -> bool:
    """Whether this run's history has the newest format, which its first event says."""
    return bool(start_memo().get(FORMAT_MEMO) == HISTORY_FORMAT)
