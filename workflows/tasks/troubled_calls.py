"""Keeps count of the calls that failed and are attempted again, and says when they give up."""

from datetime import timedelta

from temporalio import workflow

from durable_agent_team.contracts.call import AttemptSpend, CallRequest
from durable_agent_team.contracts.error_types import Outcome
from durable_agent_team.contracts.run import Failure
from durable_agent_team.rules.retry_pauses import planned_attempts, quick_attempts
from workflows.state.call_trouble import CallTrouble
from workflows.state.progress import Progress
from workflows.task_exceptions import CallInTrouble
from workflows.tasks.assignments import with_current_settings
from workflows.tasks.call_decisions import (
    BY_ON_FAILURE,
    counted_attempts,
    outcome_of,
)
from workflows.tasks.call_requests import Assignment
from workflows.tasks.outages import Outages

OUTLASTS = "outlast-trouble"
"""Runs from before this patch fail a call after its last attempt."""


class TroubledCalls:
    """The calls in `Progress.troubled`. `Outages` does their waiting."""

    def __init__(self, progress: Progress, outages: Outages) -> None:
        self._progress = progress
        self._outages = outages

    def on_failure_decides(self, failure: Failure) -> bool:
        """Whether a call that failed like this is attempted again by itself, and then parks."""
        return (
            outcome_of(failure) in BY_ON_FAILURE
            and not self._progress.stopping
            and workflow.patched(OUTLASTS)
        )

    def attempts_at_once(self, assignment: Assignment) -> int:
        """In one activity: a few for a new call; one for a call in trouble, as others wait too."""
        retry = assignment.caller.retry
        trouble = self._progress.troubled.get(assignment.subject)
        return quick_attempts(retry) if trouble is None else 1

    def note(
        self,
        assignment: Assignment,
        request: CallRequest,
        failure: Failure,
        spend: AttemptSpend,
        *,
        final: bool,
    ) -> CallTrouble:
        """Adds the attempts of an activity that failed to those before."""
        retry = assignment.caller.retry
        at_once = 1 if final else self.attempts_at_once(assignment)
        trouble = self._progress.troubled.get(assignment.subject)
        if trouble is None:
            now = workflow.now()
            trouble = self._progress.troubled[assignment.subject] = CallTrouble(
                agent=assignment.agent,
                model=request.model,
                key=request.idempotency_key,
                since=now,
                until=now + timedelta(seconds=retry.give_up_after_seconds),
                planned=planned_attempts(retry),
            )
        trouble.attempts += spend.attempts or at_once
        trouble.counted += counted_attempts(
            failure, spend, at_once, replays=self._progress.capabilities.replay
        )
        trouble.type, trouble.message = failure.type, failure.message[:300]
        return trouble

    async def wait_out(self, assignment: Assignment, failed: CallInTrouble) -> bool:
        """Returns True when the call may be attempted again, and False when it has waited long
        enough."""
        subject = assignment.subject
        trouble = self._progress.troubled[subject]
        retry = with_current_settings(self._progress, assignment).caller.retry
        if outcome_of(failed.failure) is not Outcome.OUTLASTED:
            return await self._outages.pause(subject, trouble, retry)
        return await self._outages.outlast(subject, trouble, retry, failed.retry_after)

    def gave_up(self, subject: str, failure: Failure | None = None) -> Failure:
        """The failure of a call that is not attempted any more, with how often it was."""
        trouble = self._progress.troubled[subject]
        failure = failure or Failure(type=trouble.type, message=trouble.message)
        if trouble.attempts < 2:
            return failure
        seconds = (workflow.now() - trouble.since).total_seconds()
        how_long = f" ({trouble.attempts} attempts in {seconds:.0f} s)"
        return failure.model_copy(update={"message": f"{failure.message[:1900]}{how_long}"})

    def forget(self, subject: str) -> None:
        self._progress.troubled.pop(subject, None)
        self._outages.leave(subject)
