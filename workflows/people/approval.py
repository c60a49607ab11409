"""Waits, durably, until a person approves: a plan, a task, a hand-off, a call.

An approval is bound to the hash of what was shown, and is used up once. What waits holds no place.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from temporalio import workflow

from durable_agent_team.contracts.approvals import MAX_WHAT, TIME_LIMIT, ApprovalKind, Decision
from durable_agent_team.contracts.arguments_check import ArgumentsCheck
from durable_agent_team.contracts.base import exact_time
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.control import Approve, OfWaiting
from durable_agent_team.contracts.run import RunStatus, Waiting
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.rules.tools.approval_rules import limit_summary, parsed_arguments, sha256_of
from workflows.activity_errors import refused
from workflows.people.decisions import UNDER_WAY, UnderWay, note_decision, time_left
from workflows.people.notifier import Notifier
from workflows.state.open_approval import OpenApproval
from workflows.state.progress import Progress
from workflows.state.waiting_list import answering_command, run_command
from workflows.timed_wait import wait_condition


@dataclass(frozen=True)
class ApprovalRequest:
    """What a person is asked to approve."""

    subject: str
    kind: ApprovalKind
    what: str
    content: Text
    sha256: str
    agent: str
    task: str
    reason: str
    """One sentence for `state`."""
    timeout_seconds: float
    on_timeout: Literal["reject", "approve"] = "reject"
    amount_usd: Decimal | None = None
    tainted: bool = False
    check: ArgumentsCheck | None = None


@dataclass(frozen=True)
class Verdict:
    """A person's answer, or what the time limit makes of none."""

    approved: bool
    note: str = ""
    arguments: str | None = None
    """Those of the person, in place of the model's."""
    timed_out: bool = False
    by: str = ""
    at: datetime | None = None


class Approval:
    """What waits is in `Progress.approvals`; that of the plan also in `Progress.for_approval`."""

    def __init__(self, progress: Progress, notifier: Notifier) -> None:
        self._progress = progress
        self._notifier = notifier
        self.edits = UnderWay()
        """By subject: edited arguments that are being checked."""

    async def decide(self, request: ApprovalRequest) -> Verdict:
        """Returns when a person has answered, or the time is over. The answer is used up.

        Raises CancelledError in a run that starts nothing new.
        """
        progress, subject = self._progress, request.subject
        if progress.stopping:
            raise asyncio.CancelledError
        found = progress.approvals.get(subject)
        if found is None or found.sha256 != request.sha256:
            found = self._open(request)
        found.content, found.check = request.content, request.check
        waiting = progress.waiting.get(subject)
        notifying = self._notifier.approval_waits(waiting) if waiting is not None else None
        try:
            timed_out = not await self._answered(subject, found)
        finally:
            if notifying is not None:
                notifying.cancel()
            if progress.approvals.get(subject) is found:
                del progress.approvals[subject]
                progress.unpark(subject)
                if request.kind is not ApprovalKind.TOOL:
                    progress.tasks.unparked(request.task)
            progress.changed()
        if timed_out:
            approved = request.on_timeout == "approve"
            word: Decision = "approved" if approved else "rejected"
            noted = note_decision(progress, subject, word, TIME_LIMIT)
            return Verdict(approved=approved, timed_out=True, by=TIME_LIMIT, at=noted.at)
        answer = found.answer
        if answer is None:  # the run stops
            raise asyncio.CancelledError
        return Verdict(
            answer.approved, answer.note, answer.arguments, by=answer.by, at=found.answered_at
        )

    async def _answered(self, subject: str, found: OpenApproval) -> bool:
        """False where the time is over first."""
        progress = self._progress
        if found.answer is not None:
            return True
        left = None if found.until is None else time_left(found.until)
        try:
            await wait_condition(
                lambda: found.answer is not None or progress.stopping,
                timeout=left,
                timeout_summary=limit_summary(found.agent, subject, found.what),
            )
        except TimeoutError:
            if subject in self.edits and workflow.patched(UNDER_WAY):
                await workflow.wait_condition(
                    lambda: (
                        found.answer is not None or progress.stopping or subject not in self.edits
                    )
                )
                return found.answer is not None or progress.stopping
            return found.answer is not None
        return True

    def _open(self, request: ApprovalRequest) -> OpenApproval:
        now = workflow.now()
        until = now + timedelta(seconds=request.timeout_seconds)
        found = OpenApproval(
            kind=request.kind,
            what=cut(request.what, MAX_WHAT),
            sha256=request.sha256,
            since=now,
            agent=request.agent,
            task=request.task,
            amount_usd=request.amount_usd,
            tainted=request.tainted,
            until=until,
            on_timeout=request.on_timeout,
        )
        self._progress.approvals[request.subject] = found
        waiting = self._waiting(
            request.subject, request.reason, now, agent=request.agent, until=until
        )
        self._progress.park(waiting)
        if request.kind is not ApprovalKind.TOOL:  # others of its turn may be running
            self._progress.tasks.parked(request.task)
        self._progress.changed()
        return found

    async def decide_plan(self, subject: str) -> None:
        """Returns when a person has answered about the plan, which waits under this name, or the
        run stops. A rejection stops the run."""
        progress = self._progress
        if progress.status is not RunStatus.APPROVAL:
            self._request(subject)
        waiting = progress.waiting.get(subject)
        notifying = self._notifier.approval_waits(waiting) if waiting is not None else None
        await workflow.wait_condition(lambda: progress.approval is not None or progress.stopping)
        if notifying is not None:
            notifying.cancel()
        progress.approvals.pop(subject, None)
        answer, progress.approval = progress.approval, None
        if answer is not None and not answer.approved:
            progress.stop(f"the {subject} was rejected: {answer.note}".rstrip(": "))

    def _request(self, subject: str) -> None:
        progress = self._progress
        progress.become(RunStatus.APPROVAL)
        progress.for_approval = subject
        reason, now = f"the {subject} waits for approval", workflow.now()
        progress.wait_for_person(self._waiting(subject, reason, now))
        plan = progress.tasks.plan
        progress.approvals[subject] = OpenApproval(
            kind=ApprovalKind.PLAN,
            what=f"{len(plan.tasks) if plan is not None else 0} tasks",
            sha256=sha256_of(plan.model_dump(mode="json") if plan is not None else None),
            since=now,
        )

    def _waiting(self, subject: str, reason: str, since: datetime, **more: Any) -> Waiting:
        return Waiting(
            subject=subject,
            reason=cut(reason, 1_000),
            command=answering_command("approve", self._progress.workflow_id, subject, since=since),
            since=since,
            **more,
        )

    def check(self, answer: Approve) -> None:
        """Raises ApplicationError where this subject does not wait for approval, or waits with
        something other than the person has seen, or has no arguments that could be edited."""
        subject = answer.subject
        waiting = self._progress.waiting.get(subject)
        if waiting is None:
            raise refused(self._nothing_waits(subject))
        found = self._progress.approvals.get(subject)
        if found is None and subject != self._progress.for_approval:
            raise refused(
                f"subject = {subject!r}: an approval does not make it continue;"
                f" `{waiting.command}` does"
            )
        if found is not None and answer.sha256 not in (None, found.sha256):
            raise refused(
                f"sha256 = {answer.sha256}: what waits now has {found.sha256}; look at it again"
                " (`approvals`)"
            )
        check_since(self._progress, subject, answer)
        if answer.arguments is not None:
            _check_arguments(answer, found)

    def _nothing_waits(self, subject: str) -> str:
        progress = self._progress
        found = f"subject = {subject!r}: nothing of this name waits for a person"
        for each in reversed(progress.decided):
            if each.subject == subject:
                by = f" by {each.by}" if each.by else ""
                found += f" any more: {each.decision}{by} at {each.at:%Y-%m-%d %H:%M:%S} UTC"
                break
        close = what_waits(progress, subject)
        if close:
            return f"{found}; {close}"
        found += f" (waiting: {_names(progress.waiting)})"
        if not progress.waiting:
            return found
        state = run_command("state", progress.workflow_id)
        return f"{found}; `{state}` has the commands"

    async def arguments_check(self, answer: Approve) -> ArgumentsCheck:
        """What edited arguments are checked against. Where the run has just continued as new, it is
        there once the call waits again. Raises ApplicationError."""
        progress, subject = self._progress, answer.subject
        await workflow.wait_condition(
            lambda: (
                progress.stopping
                or subject not in progress.approvals
                or progress.approvals[subject].check is not None
            )
        )
        self.check(answer)
        check = progress.approvals[subject].check
        if check is None:
            raise refused("the run has ended")
        return check.model_copy(update={"arguments": answer.arguments})

    def give(self, answer: Approve) -> Approve:
        """Records the answer, with which what waits continues. Its subject has passed `check`."""
        found = self._progress.approvals.get(answer.subject)
        word: Decision = "edited"
        if answer.arguments is None:
            word = "approved" if answer.approved else "rejected"
        noted = note_decision(self._progress, answer.subject, word, answer.by, answer.note)
        self._progress.waiting.pop(answer.subject, None)
        if answer.subject == self._progress.for_approval:
            self._progress.for_approval, self._progress.approval = None, answer
        elif found is not None:
            found.answer, found.answered_at = answer, noted.at
        self._progress.changed()
        return answer


def _check_arguments(answer: Approve, found: OpenApproval | None) -> None:
    """What can be seen without the tool's schema."""
    if found is None or found.kind is not ApprovalKind.TOOL:
        raise refused(f"subject = {answer.subject!r}: only calls of tools have arguments to edit")
    if not answer.approved:
        raise refused("arguments: they go with an approval, and this is a rejection")
    if parsed_arguments(answer.arguments or "") is None:
        raise refused("arguments: a JSON object is expected")


def check_since(progress: Progress, subject: str, command: OfWaiting) -> None:
    """Raises ApplicationError where the command is for what does not wait any more."""
    if command.since is None:
        return
    waiting = progress.waiting.get(subject)
    if waiting is not None and waiting.since == command.since:
        return
    if waiting is None:
        now = progress.tasks.schedule.status.get(subject) or "nothing of this name waits"
    else:
        now = f"it waits since {exact_time(waiting.since)}: {waiting.reason}"
    state = run_command("state", progress.workflow_id)
    raise refused(
        f"since = {exact_time(command.since)}: what waited then as {subject!r} does not wait any"
        f" more, and nothing was changed (now: {now}; `{state}` shows all of it; without `since`"
        " the command is for what is there now)"
    )


MAX_NAMED = 20
MAX_CLOSE = 5


def what_waits(progress: Progress, subject: str) -> str:
    """What waits for a person of the task that this subject names or belongs to, with the command
    that makes each continue; empty where nothing does."""
    task, _, _ = subject.partition(":")
    close = [each for name, each in progress.waiting.items() if name.partition(":")[0] == task]
    parts = [
        f"{each.subject} waits for {_wanted(progress, each)}: `{each.command}`"
        for each in close[:MAX_CLOSE]
    ]
    more = [f"and {len(close) - MAX_CLOSE} more"] if len(close) > MAX_CLOSE else []
    return "; ".join([*parts, *more])


def _wanted(progress: Progress, waiting: Waiting) -> str:
    return "approval" if waiting.subject in progress.approvals else "a person"


def _names(waiting: dict[str, Waiting]) -> str:
    names = list(waiting)
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return (", ".join(names[:MAX_NAMED]) or "nothing") + more
