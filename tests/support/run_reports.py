"""The report of a run that has ended, in whichever way."""

import asyncio
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.run import RunReport


async def report_of(handle: WorkflowHandle[Any, Any], seconds: float = 60) -> RunReport:
    """The result of a run that completed; of another one the report in its error's details."""
    try:
        return RunReport.model_validate(await asyncio.wait_for(handle.result(), seconds))
    except WorkflowFailureError as failed:
        if not isinstance(failed.cause, ApplicationError):
            raise
        return RunReport.model_validate(failed.cause.details[0])
