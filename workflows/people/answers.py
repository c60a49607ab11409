"""What a person answers: about a call of a tool, or an effect of a program, that may have happened,
or to a question of a remote agent."""

from durable_agent_team.contracts.control import AnswerTask
from durable_agent_team.contracts.conversation_view import ToolCallStatus
from durable_agent_team.contracts.effects import EffectAnswer, EffectDecision
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import Failure
from durable_agent_team.rules.tools.result_text import head_and_tail
from workflows.activity_errors import refused
from workflows.people.approval import what_waits
from workflows.people.decisions import note_decision
from workflows.state.progress import Progress
from workflows.state.tool_work import ToolCallState


def give_answer(progress: Progress, command: AnswerTask) -> dict[str, int]:
    """Keeps it, for the call of a tool, or for the program's next execution. Returns
    `result_bytes` and `max_result_bytes` of a tool's result that was cut. Raises ApplicationError
    where nothing asks."""
    call = parked_call(progress, command.task)
    if call is None:
        _answer_program(progress, command)
    else:
        _check_call(command)
    noted = note_decision(progress, command.task, command.decision.value, command.by)
    if call is None:
        return {}
    call.decided_by, call.decided_at = command.by, noted.at
    return _answer_call(progress, call, command)


def _answer_call(progress: Progress, call: ToolCallState, command: AnswerTask) -> dict[str, int]:
    """A result is cut like every other of the tool."""
    result, most = command.result, _most_bytes(progress, command.task, call)
    call.decision, call.answered = command.decision, result
    if result is None or most is None:
        return {}
    call.answered = head_and_tail(result, most)
    if call.answered == result:
        return {}
    call.result_bytes = len(result.encode())
    return {"result_bytes": call.result_bytes, "max_result_bytes": most}


def _most_bytes(progress: Progress, subject: str, call: ToolCallState) -> int | None:
    """The `max_result_bytes` of the call's tool."""
    task = progress.tasks.schedule.tasks.get(subject.rpartition(":")[0])
    box = progress.tool_boxes.get(task.agent) if task is not None else None
    facts = {each.name: each for each in box.tools}.get(call.name) if box is not None else None
    if task is None or facts is None:
        return None
    return progress.team.agents[task.agent].tools[facts.entry].max_result_bytes


def _answer_program(progress: Progress, command: AnswerTask) -> None:
    failure = _asking(progress, command.task)
    scope = progress.scopes[command.task]
    if failure.type == ErrorType.INPUT_REQUIRED:
        _check_reply(command)
        scope.reply = command.result
        scope.remote_task = failure.remote_task if command.result is not None else None
        return
    assert failure.effect is not None
    effect = failure.effect.effect
    if command.effect not in (None, effect):
        raise refused(f"effect = {command.effect!r}: the task waits for {effect!r}"[:2000])
    given = {} if command.result is None else {"result": command.result}
    answer = EffectAnswer(
        effect=effect, decision=command.decision, attempt=failure.effect.attempt, **given
    )
    others = tuple(each for each in scope.effect_answers if each.effect != effect)
    scope.effect_answers = (*others, answer)


def parked_call(progress: Progress, subject: str) -> ToolCallState | None:
    """The call of a tool that is parked under this subject."""
    if subject not in progress.waiting:
        return None
    task, _, number = subject.rpartition(":")
    for work in progress.tool_work.values():
        call = work.calls.get(number) if work.task == task else None
        if call is not None and call.status is ToolCallStatus.PARKED and call.decision is None:
            return call
    return None


def _check_call(command: AnswerTask) -> None:
    if command.effect is not None:
        raise refused(f"effect = {command.effect!r}: a call of a tool has no name of an effect")


def _asking(progress: Progress, task: str) -> Failure:
    """What the task is parked with."""
    call = progress.open_calls.get(task)
    failure = call.parked_after if call is not None else None
    is_asked = failure is not None and (
        failure.effect is not None or failure.type == ErrorType.INPUT_REQUIRED
    )
    if failure is None or not is_asked or task not in progress.scopes:
        status = progress.tasks.schedule.status.get(task)
        instead = what_waits(progress, task)
        problem = f"task = {task!r}: {status or 'no such task'}; it waits for no answer"
        raise refused(f"{problem}; {instead}" if instead else problem)
    return failure


def _check_reply(command: AnswerTask) -> None:
    """`retry` asks the remote agent again."""
    if command.decision is EffectDecision.SKIP:
        raise refused(
            f"task = {command.task!r}: a remote agent asks; answer it with result, or retry"
        )
