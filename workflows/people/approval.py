"""Waits, durably, until a person approves a plan."""

from temporalio import workflow

from durable_agent_team.contracts.control import Approve
from durable_agent_team.contracts.names import STARTER
from durable_agent_team.contracts.run import RunStatus, Waiting
from durable_agent_team.rules.safe_text import shell_command
from workflows.activity_errors import refused
from workflows.people.notifier import Notifier
from workflows.state.progress import Progress


class Approval:
    """At most one subject waits for approval: `Progress.for_approval`."""

    def __init__(self, progress: Progress, notifier: Notifier) -> None:
        self._progress = progress
        self._notifier = notifier

    async def wait_for(self, subject: str) -> None:
        """Returns when a person has answered, or the run stops. A refusal stops the run."""
        progress = self._progress
        if progress.status is not RunStatus.APPROVAL:
            self._ask(subject)
        waiting = progress.waiting.get(subject)
        notifying = self._notifier.plan_waits(waiting) if waiting is not None else None
        await workflow.wait_condition(lambda: progress.approval is not None or progress.stopping)
        if notifying is not None:
            notifying.cancel()
        answer, progress.approval = progress.approval, None
        if answer is not None and not answer.approved:
            progress.stop(f"the {subject} was refused: {answer.note}".rstrip(": "))

    def _ask(self, subject: str) -> None:
        progress = self._progress
        progress.become(RunStatus.APPROVAL)
        progress.for_approval = subject
        progress.wait_for_person(
            Waiting(
                subject=subject,
                reason=f"the {subject} waits for approval",
                command=shell_command(STARTER, "approve", progress.workflow_id, subject),
                since=workflow.now(),
            )
        )

    def check(self, answer: Approve) -> None:
        """Raises ApplicationError where this subject does not wait for approval."""
        waiting = self._progress.waiting.get(answer.subject)
        if waiting is None:
            raise refused(
                f"subject = {answer.subject!r}: nothing of this name waits for a person"
                f" (waiting: {', '.join(self._progress.waiting) or 'nothing'})"
            )
        if answer.subject != self._progress.for_approval:
            raise refused(
                f"subject = {answer.subject!r}: an approval does not make it continue;"
                f" `{waiting.command}` does"
            )

    def give(self, answer: Approve) -> Approve:
        """Records the answer, which `wait_for` then returns with."""
        self._progress.waiting.pop(answer.subject, None)
        self._progress.for_approval, self._progress.approval = None, answer
        return answer
