"""What is said about calls: to their agents, in failures, and in Temporal's UI."""

from collections.abc import Sequence
from typing import Any

from durable_agent_team.contracts.call import MAX_REASONS, CallResult, Rejected
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import Failure
from durable_agent_team.rules.programs import run_of
from workflows.state.call_trouble import CallTrouble
from workflows.state.open_call import OpenCall
from workflows.tasks.call_requests import Assignment


def rejected_answer(result: CallResult, reasons: tuple[str, ...]) -> Rejected:
    kept: dict[str, Any] = {"finish_reason": result.finish_reason} if result.finish_reason else {}
    if result.answer_ref is None:
        return Rejected(answer=result.answer, reasons=reasons, **kept)
    return Rejected(answer_ref=result.answer_ref, reasons=reasons, **kept)


def model_refused(words: str) -> Failure:
    return Failure(type=ErrorType.MODEL_REFUSED, message=f"the model refused: {words}")


def check_failed(answers: int, reasons: Sequence[str]) -> Failure:
    why = "; ".join(reasons[:MAX_REASONS])
    return Failure(
        type=ErrorType.CHECK_FAILED,
        message=f"{answers} answers in a row failed their checks, the last one: {why}"[:2000],
    )


def summary(assignment: Assignment, call: OpenCall, trouble: CallTrouble | None) -> str:
    """The summary of one call in Temporal's UI."""
    repair = " (repair)" if call.number > 1 else ""
    again = f" · attempt {trouble.attempts + 1} after {trouble.type}" if trouble else ""
    what = f"call {call.number}" if run_of(assignment.caller) is None else "program"
    if call.conversation is not None:
        what = f"turn {call.conversation.turns + 1}"
    return f"{assignment.agent} · {assignment.subject} · {what}{repair}{again}"
