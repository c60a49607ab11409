"""The end of a run, however it was reached: accounts are closed, and the report is made.

Expected endings only (docs/adr/004); ledger lines are read where sums differ (docs/adr/010).
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunReport, RunStatus
from workflows.agent_spans import CANCELLED, end_agent_span
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
    for task, conversation in progress.conversations.items():
        end_agent_span(conversation, task, CANCELLED)
    progress.tasks.cancel_rest(workflow.now())
    ending = progress.ending()
    progress.become(RunStatus.CLOSING)
    # A new limit enables a closed account again, so no update may still be setting one.
    await workflow.wait_condition(workflow.all_handlers_finished)
    await run.accounts.close()
    if ending is RunStatus.COMPLETED:
        progress.cancel_reason = None  # cancelled too late: the answer was there
    progress.become(ending)
    await run.notifier.ended(ending)
    await workflow.wait_condition(workflow.all_handlers_finished)
    run.publisher.publish()


CANCELLED_RUNS_FAIL = "cancelled-runs-fail"
"""The patch since which a cancelled run fails. Before, it completed."""


def report_or_raise(progress: Progress) -> RunReport:
    """The report of a run that completed.

    Raises ApplicationError, with the report in its details, for one that failed or was cancelled:
    Temporal's list must show neither as a success, and the SDK's own way to end as cancelled has no
    room for a report (docs/adr/028).
    """
    report = run_report(progress, workflow.now())
    failure = report.failure
    if report.status is RunStatus.CANCELLED and workflow.patched(CANCELLED_RUNS_FAIL):
        raise run_error(ErrorType.RUN_CANCELLED, f"cancelled: {report.cancel_reason}", report)
    if report.status is not RunStatus.FAILED or failure is None:
        return report
    if failure.type == ErrorType.INVALID_INPUT:
        raise run_error(ErrorType.INVALID_INPUT, failure.message, report)
    raise run_error(ErrorType.RUN_FAILED, f"{failure.type}: {failure.message}", report)


def run_error(kind: ErrorType, message: str, *details: RunReport) -> ApplicationError:
    """The error that the workflow fails with."""
    category = ApplicationErrorCategory.UNSPECIFIED
    if kind is ErrorType.RUN_CANCELLED:  # an operator's decision, not an error to alert on
        category = ApplicationErrorCategory.BENIGN
    return ApplicationError(message, *details, type=kind, non_retryable=True, category=category)
