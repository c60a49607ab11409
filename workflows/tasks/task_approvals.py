"""Waits for a person to approve a task, its hand-off, an expensive call, or what a review changes.

Each waits as other approvals do (`workflows.people.approval`), and holds no place meanwhile. The
time limit and what follows it are those of a parked call: `park_timeout_seconds` and
`on_park_timeout` of the agent.
"""

import json
from dataclasses import asdict
from decimal import Decimal
from typing import Literal

from temporalio import workflow

from durable_agent_team.contracts.approvals import ApprovalKind
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.call import CallRequest, Purpose, Rejected
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.team import Task
from durable_agent_team.contracts.text_ref import Text, TextRef, preview_of
from durable_agent_team.rules.review import parse_review
from durable_agent_team.rules.revision import Review
from durable_agent_team.rules.tools.approval_rules import sha256_of
from workflows.people.approval import Approval, ApprovalRequest, Verdict
from workflows.state.open_call import OpenCall
from workflows.state.progress import Progress
from workflows.task_exceptions import TaskFailed, TaskSkipped
from workflows.tasks.assignments import REVIEW_SUBJECT, judging_briefing
from workflows.tasks.call_requests import Assignment, digest
from workflows.tasks.gate import Gate

REVIEWS_WAIT = "reviews-wait-for-approval"
"""The patch since which a review that has read something from outside waits for a person
(docs/adr/053)."""


class TaskApprovals:
    """Each method returns when its subject is approved, and raises TaskSkipped where it is
    rejected, or nobody answers in time and the agent's policy says so; else TaskFailed."""

    def __init__(self, progress: Progress, approval: Approval, gate: Gate) -> None:
        self._progress = progress
        self._approval = approval
        self._gate = gate

    async def before(self, assignment: Assignment, call: OpenCall) -> None:
        """`approve: before` of the task."""
        task = self._task(assignment, "before")
        if task is None or call.is_approved:
            return
        verdict = await self._decide(
            assignment,
            subject=task.id,
            kind=ApprovalKind.TASK,
            content=_with_sources(task.ask, assignment),
            sha256=sha256_of(task.model_dump(mode="json")),
            reason=f"task {task.id} waits for approval before it starts: {task.ask}",
            what=preview_of(task.ask),
        )
        if not verdict.approved:
            raise self._ended(assignment, verdict, f"task {task.id}")
        call.is_approved = True

    async def after(self, assignment: Assignment, text: Text) -> Rejected | None:
        """`approve: after` of the task, or `approve_review` of the team. What a person rejects with
        a note goes back to its agent: then returns it, with the note as the reason."""
        if assignment.purpose is Purpose.REVIEW:
            return await self._review(assignment, text)
        task = self._task(assignment, "after")
        if task is None:
            return None
        known = text.sha256 if isinstance(text, TextRef) else text
        verdict = await self._decide(
            assignment,
            subject=f"{task.id}:handoff",
            kind=ApprovalKind.HANDOFF,
            content=text,
            sha256=sha256_of({"task": task.id, "handoff": known}),
            reason=f"the hand-off of {task.id} waits for approval: {preview_of(text)}",
            what=preview_of(text),
        )
        if verdict.approved:
            return None
        return self._sent_back(assignment, verdict, text, f"the hand-off of {task.id}")

    async def _review(self, assignment: Assignment, text: Text) -> Rejected | None:
        """Asks for approval of a review with changes. Without it the plan stays as it is."""
        progress = self._progress
        rule, is_tainted = progress.team.approve_review, self._is_tainted(assignment)
        if rule == "never" or (rule == "tainted" and not is_tainted):
            return None
        assert isinstance(text, str)
        assert progress.tasks.plan is not None
        number = progress.reviews + 1
        found = parse_review(text, judging_briefing(progress), progress.tasks.plan, number)
        if isinstance(found, list) or found[0].finishes or not workflow.patched(REVIEWS_WAIT):
            return None
        changes = _changes(found[0])
        why = ", after it has read something from outside" if is_tainted else ""
        verdict = await self._decide(
            assignment,
            subject=REVIEW_SUBJECT,
            kind=ApprovalKind.REVIEW,
            content=changes,
            sha256=sha256_of({"review": number, "changes": changes}),
            reason=f"its review changes the plan{why}: {_summary(found[0])}",
            what=_summary(found[0]),
        )
        if verdict.approved:
            return None
        return self._sent_back(assignment, verdict, text, f"review {number}")

    def _sent_back(
        self, assignment: Assignment, verdict: Verdict, text: Text, what: str
    ) -> Rejected:
        """For the agent, with a person's note. Without one, raises what ends the work."""
        if not verdict.note or verdict.timed_out:
            raise self._ended(assignment, verdict, what)
        reasons = (f"A person rejected it: {verdict.note}",)
        if isinstance(text, TextRef):
            return Rejected(answer_ref=text, reasons=reasons)
        return Rejected(answer=text, reasons=reasons)

    async def expensive_call(
        self, assignment: Assignment, request: CallRequest, most: Decimal | None, call: OpenCall
    ) -> None:
        """`approve_above_usd` of the agent, for a call that may cost `most` at most. None, since no
        price is known, counts as more. The approval holds for one body."""
        limit = assignment.caller.approve_above_usd
        if limit is None or (most is not None and most <= limit):
            return
        sha256 = sha256_of({"subject": assignment.subject, "body": digest(request)})
        if call.approved_body == sha256:
            return
        usd = "an unknown amount" if most is None else f"{most:f} USD"
        verdict = await self._decide(
            assignment,
            subject=f"{assignment.subject}:call",
            kind=ApprovalKind.CALL,
            content=request.ask,
            sha256=sha256,
            reason=f"a call of {request.model} for {assignment.subject} can cost {usd},"
            f" more than {limit:f} USD",
            what=f"{request.model}: {preview_of(request.ask)}",
            amount_usd=most,
        )
        if not verdict.approved:
            raise self._ended(assignment, verdict, f"a call for {assignment.subject}")
        call.approved_body = sha256

    def _task(self, assignment: Assignment, when: Literal["before", "after"]) -> Task | None:
        """The task, where it is approved at that moment."""
        task = self._progress.tasks.schedule.tasks.get(assignment.subject)
        if task is None or assignment.purpose is not Purpose.WORK or task.approve != when:
            return None
        return task

    async def _decide(
        self,
        assignment: Assignment,
        *,
        subject: str,
        kind: ApprovalKind,
        content: Text,
        sha256: str,
        reason: str,
        what: str,
        amount_usd: Decimal | None = None,
    ) -> Verdict:
        self._gate.leave(assignment.subject)
        return await self._approval.decide(
            ApprovalRequest(
                subject=subject,
                kind=kind,
                what=what,
                content=content,
                sha256=sha256,
                agent=assignment.agent,
                task=assignment.subject,
                reason=f"{assignment.agent}: {reason}",
                timeout_seconds=assignment.caller.park_timeout_seconds,
                amount_usd=amount_usd,
                tainted=self._is_tainted(assignment),
            )
        )

    def _is_tainted(self, assignment: Assignment) -> bool:
        """A review reads every hand-off."""
        tainted = self._progress.tainted_tasks
        return assignment.subject in tainted or (
            assignment.purpose is Purpose.REVIEW and bool(tainted)
        )

    def _ended(self, assignment: Assignment, verdict: Verdict, what: str) -> Exception:
        if not verdict.timed_out:
            note = f": {verdict.note}" if verdict.note else ""
            message = f"a person rejected {what}{note}"
            return TaskSkipped(Failure(type=ErrorType.REJECTED, message=message[:2_000]))
        seconds = assignment.caller.park_timeout_seconds
        message = f"nobody approved {what} within {seconds:g} s"
        failure = Failure(type=ErrorType.REJECTED, message=message)
        skips = assignment.caller.on_park_timeout == "skip"
        return TaskSkipped(failure) if skips else TaskFailed(failure)


def _with_sources(ask: str, assignment: Assignment) -> str:
    """The ask, and the names of the documents and hand-offs that the task is given with it."""
    names = ", ".join(source.name for source in assignment.sources)
    return f"{ask}\n\nIt reads: {names}" if names else ask


def _changes(review: Review) -> str:
    """What a person approves, as JSON: the tasks that are done again, dropped and added."""
    added = [task.model_dump(mode="json", exclude_defaults=True) for task in review.add]
    return json.dumps({**asdict(review), "add": added}, ensure_ascii=False)


def _summary(review: Review) -> str:
    parts = {"does again": review.redo, "drops": review.drop, "adds": [t.id for t in review.add]}
    return cut("; ".join(f"{word} {', '.join(ids)}" for word, ids in parts.items() if ids), 300)
