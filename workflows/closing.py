"""The end of a run, however it was reached: accounts are closed, and the report is made."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunStatus
from workflows.run import Run
from workflows.state.progress import Progress
from workflows.state.reports import run_report


async def close(run: Run) -> None:
    """Closes the accounts and reads the ledgers back, shielded from a late cancellation."""
    closing = asyncio.create_task(_close(run))
    while not closing.done():
        try:
            await asyncio.shield(closing)
        except asyncio.CancelledError:
            run.progress.stop("cancelled in Temporal")


async def _close(run: Run) -> None:
    progress = run.progress
    run.deadline.cancel_timer()
    progress.waiting.clear()
    progress.tasks.schedule.cancel_rest()
    ending = progress.ending()
    progress.become(RunStatus.CLOSING)
    # A new limit enables a closed account again, so no update may still be setting one.
    await workflow.wait_condition(workflow.all_handlers_finished)
    await run.accounts.close()
    if ending is RunStatus.COMPLETED:
        progress.cancel_reason = None  # cancelled too late: the answer was there
    progress.become(ending)
    await workflow.wait_condition(workflow.all_handlers_finished)
    run.publisher.publish()


def report_or_raise(progress: Progress) -> RunReport:
    """The report of a run that completed or was cancelled. Raises ApplicationError for one that
    failed, with the report in its details."""
    report = run_report(progress, workflow.now())
    failure = report.failure
    if report.status is not RunStatus.FAILED or failure is None:
        return report
    if failure.type == ErrorType.INVALID_INPUT:
        raise run_error(ErrorType.INVALID_INPUT, failure.message, report)
    raise run_error(ErrorType.RUN_FAILED, f"{failure.type}: {failure.message}", report)


def run_error(kind: ErrorType, message: str, *details: RunReport) -> ApplicationError:
    """The error that the workflow fails with."""
    return ApplicationError(message, *details, type=kind, non_retryable=True)
