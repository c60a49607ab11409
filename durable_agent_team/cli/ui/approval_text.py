"""Pure: what waits for a person's approval, in full, with the commands that answer it."""

from collections.abc import Iterator, Sequence

from durable_agent_team.cli.json_layout import laid_out
from durable_agent_team.cli.output import flat, usd
from durable_agent_team.contracts.approvals import ApprovalKind, PendingApproval
from durable_agent_team.contracts.base import exact_time
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.text_ref import TextRef
from durable_agent_team.process.called_program import starter_command
from durable_agent_team.rules.safe_text import one_line, visible

MOST_SHOWN = 4_000
"""Characters of one content where several are listed; `approvals RUN SUBJECT` prints all."""

ASKS = {
    ApprovalKind.PLAN: "the plan",
    ApprovalKind.REVIEW: "wants to change the plan",
    ApprovalKind.TASK: "before its first call",
    ApprovalKind.HANDOFF: "before its hand-off is handed on",
    ApprovalKind.TOOL: "wants to call",
    ApprovalKind.CALL: "wants to make a call that can cost more than `approve_above_usd`",
}
CONTENT = {
    ApprovalKind.PLAN: "plan",
    ApprovalKind.REVIEW: "changes",
    ApprovalKind.TASK: "ask",
    ApprovalKind.HANDOFF: "hand-off",
    ApprovalKind.TOOL: "arguments",
    ApprovalKind.CALL: "ask",
}
AFTER_NO = {
    ApprovalKind.PLAN: "the run is cancelled",
    ApprovalKind.REVIEW: "with a note it reviews again; without one the plan stays as it is",
    ApprovalKind.TASK: "the task is skipped",
    ApprovalKind.HANDOFF: "with a note its agent answers again; without one the task is skipped",
    ApprovalKind.TOOL: "its agent gets the note as the result",
    ApprovalKind.CALL: "the task is skipped",
}
"""What a rejection means."""


def kind_of(subject: str) -> ApprovalKind:
    """The kind that a subject's form says."""
    if subject == "plan":
        return ApprovalKind.PLAN
    if subject == "review":
        return ApprovalKind.REVIEW
    _, _, part = subject.partition(":")
    known = {"": ApprovalKind.TASK, "handoff": ApprovalKind.HANDOFF, "call": ApprovalKind.CALL}
    return known.get(part, ApprovalKind.TOOL)


def shown_besides_plan(pending: Sequence[PendingApproval]) -> list[PendingApproval]:
    """All but the plan, which is printed task by task."""
    return [each for each in pending if each.kind is not ApprovalKind.PLAN]


def approvals_text(run: str, pending: Sequence[PendingApproval], most: int = MOST_SHOWN) -> str:
    """All that waits, an empty line between two."""
    blocks = ["\n".join(approval_lines(run, each, most)) for each in pending]
    return "\n\n".join(blocks) or "nothing waits for approval"


def approval_lines(run: str, pending: PendingApproval, most: int | None = None) -> Iterator[str]:
    """One of them. Nothing in it can look like a line of ours: what an agent wrote is indented, and
    its hidden characters are escaped, also in a pipe, since a person decides about what is seen."""
    yield _head(pending)
    if pending.amount_usd is not None:
        yield from _field("amount", f"{usd(pending.amount_usd)} USD")
    if pending.tainted:
        yield from _field("tainted", "something from outside is in what the agent has read")
    yield from _field("since", f"{pending.since:%Y-%m-%d %H:%M:%S} UTC")
    if pending.until is not None:
        then = {"approve": ", then it is approved", "reject": ", then it is rejected"}
        end = then.get(pending.on_timeout or "", "")
        yield from _field("until", f"{pending.until:%Y-%m-%d %H:%M:%S} UTC{end}")
    yield from _field(CONTENT[pending.kind], _content(run, pending, most))
    yield from _field("sha256", pending.sha256)
    yield from _answers(run, pending)


def _head(pending: PendingApproval) -> str:
    who = f"{pending.agent} " if pending.agent else ""
    what = one_line(flat(pending.what))
    if pending.kind is ApprovalKind.TOOL:
        return f"{one_line(pending.subject)}: {who}{ASKS[pending.kind]} {what}"
    return f"{one_line(pending.subject)}: {who}{ASKS[pending.kind]}".replace("  ", " ")


def _content(run: str, pending: PendingApproval, most: int | None) -> str:
    if isinstance(pending.content, TextRef):
        text, whole = pending.content.preview, pending.content.bytes
        return f"{visible(text)}… ({whole:,} bytes: `{_all_of(run, pending)}` prints all)"
    text = laid_out(pending.content) or pending.content
    shown = text if most is None else cut(text, most)
    of = pending.content_characters
    is_cut = shown != text or (of is not None and of > len(pending.content))
    note = f"\n… `{_all_of(run, pending)}` prints all" if is_cut else ""
    return visible(shown.replace("\r\n", "\n"), "\n\t") + note


def _all_of(run: str, pending: PendingApproval) -> str:
    return starter_command("approvals", run, pending.subject)


def _answers(run: str, pending: PendingApproval) -> Iterator[str]:
    subject, only = pending.subject, ["--since", exact_time(pending.since)]
    yield from _field("yes", starter_command("approve", run, subject, last=only))
    why = starter_command("reject", run, subject, last=[*only, "--note", "WHY"])
    yield from _field("no", why)
    yield from _field("", f"({AFTER_NO[pending.kind]})")
    if pending.kind is ApprovalKind.TOOL:
        yield from _field("change", starter_command("edit", run, subject, "FILE", last=only))


def _field(name: str, text: str) -> Iterator[str]:
    first, *more = text.split("\n") if text else [""]
    yield f"  {name:<9} {first}"
    yield from (f"            {line}" for line in more)
