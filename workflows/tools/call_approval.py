"""The approval of a call of a tool: one tool with one set of arguments."""

from collections.abc import Callable

from temporalio import workflow

from durable_agent_team.contracts.approvals import ApprovalKind
from durable_agent_team.contracts.arguments_check import ArgumentsCheck
from durable_agent_team.contracts.base import round_up
from durable_agent_team.contracts.conversation_view import ToolCallStatus
from durable_agent_team.contracts.tool_kinds import ApprovalRule
from durable_agent_team.rules.safe_text import readable_json
from durable_agent_team.rules.tools.approval_rules import (
    amount_of,
    approved_sha256,
    has_second_amount,
    needs_approval,
    plain_arguments,
)
from workflows.people.approval import Approval, ApprovalRequest
from workflows.tools import call_texts
from workflows.tools.one_call import OneCall

NOT_USED_UP = "rejected-calls-are-not-counted"
"""The patch since which a call that a person rejects uses up none of the tool's `max_calls`."""

SECOND_AMOUNT = "approvals-of-a-second-amount"
"""The patch since which a call with two spellings of the amount's name has an unknown amount."""


class CallApproval:
    """Waits until a person approves a call, where the team file says so."""

    def __init__(
        self, approval: Approval, become: Callable[[OneCall, ToolCallStatus], None]
    ) -> None:
        self._approval = approval
        self._become = become

    async def is_approved(self, one: OneCall) -> bool:
        """Waits for a person where that is needed. With False, the call has ended."""
        state = one.state
        sha256 = approved_sha256(one.facts, one.arguments)
        if state.approved_sha256 == sha256 or not _needs_approval(one):
            return True
        self._become(one, ToolCallStatus.APPROVAL)
        verdict = await self._approval.decide(_request(one, sha256))
        state.note, state.decided_by, state.decided_at = verdict.note, verdict.by, verdict.at
        if not verdict.approved:
            state.approval = "timed_out" if verdict.timed_out else "rejected"
            if not verdict.timed_out:
                _give_back(one)
            text = call_texts.rejected(verdict.note)
            one.end(ToolCallStatus.REJECTED, call_texts.NOT_IN_TIME if verdict.timed_out else text)
            return False
        state.approval = "timed_out" if verdict.timed_out else "approved"
        if verdict.arguments is not None:
            state.edited, state.approval = plain_arguments(verdict.arguments), "edited"
        state.approved_sha256 = approved_sha256(one.facts, one.arguments)
        self._become(one, ToolCallStatus.READY)
        return True


def _give_back(one: OneCall) -> None:
    """The note may ask for another call, of which there may be only one. Where nobody has answered,
    there is no sense in asking again."""
    if one.tool.max_calls is not None and workflow.patched(NOT_USED_UP):
        one.work.made[one.facts.name] -= 1


def check_approved(one: OneCall) -> None:
    """Raises RuntimeError, which fails the workflow task and calls nothing, unless the call has the
    tool and the arguments that were approved. An approval holds for no other call."""
    approved = one.state.approved_sha256
    if approved not in (None, approved_sha256(one.facts, one.arguments)):
        raise RuntimeError(
            f"{one.subject} is not the call that was approved: {one.facts.source} or its arguments"
            " have changed since then"
        )


def _needs_approval(one: OneCall) -> bool:
    tool = one.tool
    if needs_approval(tool, one.facts.effects, one.arguments, tainted=one.state.tainted):
        return True
    if tool.approve is not ApprovalRule.ABOVE_USD or not has_second_amount(tool, one.arguments):
        return False
    return workflow.patched(SECOND_AMOUNT)


def _request(one: OneCall, sha256: str) -> ApprovalRequest:
    tool, tainted = one.tool, one.state.tainted
    is_known = not has_second_amount(tool, one.arguments)
    amount = amount_of(tool, one.arguments) if is_known else None
    why = ", after something from outside" if tainted else ""
    reason = f"{one.facts.source} waits for approval{why}: {readable_json(one.arguments)}"
    return ApprovalRequest(
        subject=one.subject,
        kind=ApprovalKind.TOOL,
        what=one.facts.source,
        content=one.arguments,
        sha256=sha256,
        agent=one.work.agent,
        task=one.work.task,
        reason=f"{one.work.agent}: {reason}",
        timeout_seconds=tool.approval_timeout_seconds,
        on_timeout=tool.on_approval_timeout,
        amount_usd=None if amount is None else round_up(amount),
        tainted=tainted,
        check=ArgumentsCheck(definitions=one.box.definitions, name=one.facts.name, arguments="{}"),
    )
