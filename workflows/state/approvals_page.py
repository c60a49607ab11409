"""The answer of the query `approvals`: what waits for a person, in full, a part at a time."""

from durable_agent_team.contracts.approvals import (
    ApprovalKind,
    ApprovalsPage,
    ApprovalsQuery,
    PendingApproval,
)
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.rules.encoded_size import cut_to_bytes
from workflows.state.open_approval import OpenApproval
from workflows.state.progress import Progress

PER_PAGE = 8
BYTES_IN_A_LIST = 6_000
"""The size of each content, as JSON, where all approvals are listed."""
BYTES_ALONE = 50_000
"""The size of the content where one subject is asked for."""


def approvals_page(progress: Progress, query: ApprovalsQuery) -> ApprovalsPage:
    """In the order in which they were asked for. What a person has answered is not there."""
    waiting = {
        subject: each
        for subject, each in progress.approvals.items()
        if each.answer is None and subject in progress.waiting
    }
    if query.subject is not None:
        found = waiting.get(query.subject)
        shown = [] if found is None else [(query.subject, found)]
        approvals = tuple(
            _pending(progress, subject, each, query.first, BYTES_ALONE) for subject, each in shown
        )
        return ApprovalsPage(approvals=approvals, total=len(waiting))
    first = (query.page - 1) * PER_PAGE
    return ApprovalsPage(
        approvals=tuple(
            _pending(progress, subject, each, 0, BYTES_IN_A_LIST)
            for subject, each in list(waiting.items())[first : first + PER_PAGE]
        ),
        total=len(waiting),
        page=query.page,
        pages=max(-(-len(waiting) // PER_PAGE), 1),
    )


def _pending(
    progress: Progress, subject: str, found: OpenApproval, first: int, most: int
) -> PendingApproval:
    content = _content(progress, found)
    part: dict[str, Text | int] = {"content": content}
    if isinstance(content, str):
        shown = cut_to_bytes(content[first : first + most], most)
        part = {"content": shown}
        if shown != content:
            part |= {"content_first": first, "content_characters": len(content)}
    return PendingApproval.model_validate(
        {
            "subject": subject,
            "kind": found.kind,
            "agent": found.agent,
            "task": found.task,
            "what": found.what,
            "sha256": found.sha256,
            "amount_usd": found.amount_usd,
            "tainted": found.tainted,
            "since": found.since,
            "until": found.until,
            "on_timeout": found.on_timeout,
            **part,
        }
    )


def _content(progress: Progress, found: OpenApproval) -> Text:
    if found.kind is ApprovalKind.PLAN and progress.tasks.plan is not None:
        return progress.tasks.plan.model_dump_json(exclude_unset=True, indent=2)
    return found.content
