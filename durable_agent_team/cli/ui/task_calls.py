"""Pure: the calls of one task: prompt, answer, checks and charge of each."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from durable_agent_team.cli.output import duration_text, flat, for_reader, usd
from durable_agent_team.cli.ui.program_charges import ModelCall, model_calls, scope_charges
from durable_agent_team.cli.ui.token_text import kinds_text, saved_text
from durable_agent_team.cli.ui.turn_text import tool_call_lines, tools_total
from durable_agent_team.client.recorded_calls import INTERRUPTED, RecordedCall
from durable_agent_team.client.run_history import RunRecord
from durable_agent_team.client.tool_views import is_turn, tool_calls_of, with_live
from durable_agent_team.contracts.base import Message, SignedUsd
from durable_agent_team.contracts.call import Source, Usage
from durable_agent_team.contracts.conversation_view import ToolCallView, TurnView
from durable_agent_team.contracts.ledger import Charge, Ledger
from durable_agent_team.contracts.team import Checks
from durable_agent_team.providers.url_secrets import without_url_secrets
from durable_agent_team.rules.counts import counted
from durable_agent_team.rules.programs import place_of


class CallLook(Message):
    """One call; the sealed key of its account is left out."""

    idempotency_key: str
    agent: str
    purpose: str
    model: str
    max_tokens: int
    system: str
    goal: str | None
    sources: tuple[Source, ...]
    missing: tuple[str, ...]
    ask: str
    objections: tuple[str, ...]
    """To the previous answer, which this call repairs."""
    output: str | dict[str, Any]
    checks: Checks
    answer: str | None
    reasons: tuple[str, ...]
    """Why the answer did not pass its checks."""
    attempts: int = 1
    """The number of the last one, within one activity."""
    attempt_failure: str | None = None
    """Why the one before it failed."""
    next_attempt_at: datetime | None = None
    finish_reason: str
    """Why the answer is not complete; empty for one that is."""
    refusal: str
    """The model's words, where it refused to answer."""
    thinking: str
    """What the model thought before it answered."""
    failure: str | None
    cost_usd: Decimal | None
    replayed: bool
    estimated: bool
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    saved_usd: SignedUsd = Decimal(0)
    seconds: float | None
    program: str | None = None
    """Where the program is, for an agent that is one: then this is one execution of it."""
    scope: str | None = None
    execution: int | None = None
    model_calls: tuple[ModelCall, ...] = ()
    """The calls that this execution paid, where the provider's ledger could be read."""
    stderr: str = ""
    """The program's standard error, or its end."""
    conversation: str | None = None
    """For an agent with tools: which conversation this call is a turn of."""
    turn: int | None = None
    said: str = ""
    """What the model said beside its calls of tools."""
    tool_calls: tuple[ToolCallView, ...] = ()


class TaskLook(Message):
    """The output of `task --json`."""

    workflow_id: str
    task: str
    calls: tuple[CallLook, ...]


def task_look(
    record: RunRecord,
    task: str,
    ledgers: Sequence[Ledger] | None = None,
    turns: Sequence[TurnView] = (),
) -> TaskLook:
    """All calls of a task; `plan` and `answer` are the orchestrator's. `turns` is how calls of
    tools stand now, where the run could be asked."""
    charges = scope_charges(ledgers)
    calls = tuple(
        _look(call, record).model_copy(
            update=_of_program(call, record, charges) | _of_turn(call, record, turns)
        )
        for call in record.of_task(task)
        if call.request.conversation is None or is_turn(call)
    )
    return TaskLook(workflow_id=record.id, task=task, calls=calls)


def task_text(found: TaskLook) -> str:
    """All calls of a task as text."""
    return "\n".join(_lines(found))


def _look(call: RecordedCall, record: RunRecord) -> CallLook:
    request, result = call.request, call.result
    interrupted = call.ended_at is None and record.ended_at is not None
    return CallLook(
        idempotency_key=request.idempotency_key,
        agent=request.account.agent,
        purpose=request.purpose.value,
        model=request.model,
        max_tokens=request.max_tokens,
        system=request.system,
        goal=request.goal,
        sources=request.sources,
        missing=request.missing,
        ask=request.ask,
        objections=request.rejected.reasons if request.rejected else (),
        output=request.output,
        checks=request.checks,
        answer=result.answer if result else None,
        reasons=result.reasons if result else (),
        finish_reason=result.finish_reason if result else "",
        refusal=result.refusal if result else "",
        thinking=result.thinking if result else "",
        attempts=call.attempts.number,
        attempt_failure=call.attempts.failure or None,
        next_attempt_at=call.attempts.next_at,
        failure=INTERRUPTED if interrupted else call.failure,
        cost_usd=call.cost_usd,
        replayed=result.replayed if result else False,
        estimated=result.estimated if result else False,
        **(result.usage if result is not None else Usage()).model_dump(),
        seconds=result.seconds if result else None,
    )


def _of_program(
    call: RecordedCall, record: RunRecord, charges: Mapping[tuple[str, str], Sequence[Charge]]
) -> dict[str, Any]:
    program = call.program
    if program is None:
        return {}
    return {
        "program": without_url_secrets(place_of(program.run)),
        "scope": program.scope,
        "execution": program.execution,
        "model_calls": model_calls(call, record, charges.get(call.key, ())),
        "stderr": call.stderr if isinstance(call.stderr, str) else call.stderr.preview,
    }


def _of_turn(call: RecordedCall, record: RunRecord, turns: Sequence[TurnView]) -> dict[str, Any]:
    asked, said = call.request.conversation, call.result.turn if call.result else None
    if asked is None:
        return {}
    found: dict[str, Any] = {"conversation": asked.id, "turn": asked.turn}
    if said is not None:
        now = [each for each in turns if each.conversation in ("", asked.id)]
        calls = with_live(tool_calls_of(record, call), now)
        found |= {"answer": None, "said": said.content, "tool_calls": calls}
    return found


def _lines(found: TaskLook) -> list[str]:
    if not found.calls:
        return [f"{found.task}: no call yet"]
    total = sum((call.cost_usd or Decimal(0) for call in found.calls), Decimal(0))
    numbers = _numbers(found.calls)
    repairs = len({n for n, call in zip(numbers, found.calls, strict=True) if call.objections})
    made = counted(numbers[-1], "turn" if found.calls[0].turn is not None else "call")
    if repairs:
        made += f", {repairs} of them {'repairs' if repairs != 1 else 'a repair'}"
    tools = tools_total([each for call in found.calls for each in call.tool_calls])
    lines = [f"{found.task} ({found.calls[0].agent}): {made}, {usd(total)} USD{tools}"]
    for place, (number, call) in enumerate(zip(numbers, found.calls, strict=True)):
        again = number in numbers[:place]
        lines += ["", *_call_lines(number, call, again=again)]
    return lines


def _numbers(calls: Sequence[CallLook]) -> list[int]:
    """Which call each entry is: what is made again under its key, after a refusal or an
    outage, is the same call, as `state` counts. Each execution of a program is one."""
    keys: dict[str, int] = {}
    numbers: list[int] = []
    for place, call in enumerate(calls):
        key = call.idempotency_key if call.program is None else f"{place}"
        numbers.append(keys.setdefault(key, len(keys) + 1))
    return numbers


def _call_lines(number: int, call: CallLook, *, again: bool = False) -> list[str]:
    """`again` is a call whose request has been printed before."""
    kind = "repair" if call.objections else call.purpose
    kind += ", again" if again else ""
    lines = [f"call {number} ({kind}) {call.model}, key {call.idempotency_key}"]
    if call.program is not None:
        lines = [f"call {number} ({kind}) {call.program}, scope {call.scope}"]
    if call.turn is not None:
        lines = [f"turn {call.turn} ({kind}) {call.model}, key {call.idempotency_key}"]
    if call.turn in (None, 1) and not again:  # later turns have the same before them
        lines += _prompt(call)
    if call.attempt_failure is not None:
        lines += _block("attempt", _attempt(call))
    if call.thinking:
        lines += _block("thinking", call.thinking)
    if call.said:
        lines += _block("says", for_reader(call.said))
    if call.refusal:
        lines += _block("refused", call.refusal)
    elif call.tool_calls:
        lines += [line for each in call.tool_calls for line in tool_call_lines(each)]
    elif call.answer is not None:
        lines += _block("answer", for_reader(call.answer))
        if call.reasons:
            lines += _block("failed its checks", "\n".join(call.reasons))
        else:
            lines += _block("passed", "yes")
    elif call.failure is not None:
        lines += _block("failed", call.failure)
    else:
        lines += _block("answer", "the call is in flight")
    for made in call.model_calls:
        lines += _block("model call", _made(made))
    if call.stderr:
        lines += _block("standard error", for_reader(call.stderr))
    return [*lines, *_block("charge", _charge(call))]


def _prompt(call: CallLook) -> list[str]:
    lines = _block("system", call.system)
    if call.goal is not None:
        lines += _block("goal", call.goal)
    for source in call.sources:
        lines += _block(f"input {flat(source.name)}", source.text)
    if call.missing:
        lines += _block("missing inputs", ", ".join(call.missing))
    lines += _block("ask", call.ask)
    if call.objections:
        lines += _block("objections to the answer before", "\n".join(call.objections))
    lines += _block("output", call.output if isinstance(call.output, str) else "a JSON Schema")
    checks = call.checks.model_dump(exclude_defaults=True)
    if checks:
        lines += _block("checks", ", ".join(f"{name}: {value}" for name, value in checks.items()))
    return lines


def _made(made: ModelCall) -> str:
    tokens = f"{made.prompt_tokens}+{made.completion_tokens} tokens"
    estimated = ", an estimate" if made.estimated else ""
    return f"{usd(made.amount_usd)} USD for {tokens}{estimated}, key {made.idempotency_key or '-'}"


def _attempt(call: CallLook) -> str:
    """Such as `3 at 14:02:10 UTC, after RateLimited: …`."""
    at = f" at {call.next_attempt_at:%H:%M:%S} UTC" if call.next_attempt_at else ""
    return f"{call.attempts}{at}, after {flat(call.attempt_failure or '')}"


def _charge(call: CallLook) -> str:
    if call.cost_usd is None:
        return "open" if call.failure is None else "not known here; `charges` reads the ledger"
    if call.program is not None:
        took = "" if call.seconds is None else f" in {duration_text(call.seconds)}"
        return f"{usd(call.cost_usd)} USD{took}"
    text = f"{usd(call.cost_usd)} USD for {call.prompt_tokens}+{call.completion_tokens} tokens"
    if kinds := kinds_text(call):
        text += f" ({kinds})"
    if saved := saved_text(call.saved_usd):
        text += f", {saved}"
    if call.seconds is not None:
        text += f" in {duration_text(call.seconds)}"
    text += ", an estimate" if call.estimated else ""
    return text + (", answered from the gateway's store" if call.replayed else "")


def _block(name: str, text: str) -> list[str]:
    """One line where it fits on one, else an indented block."""
    lines = text.strip().splitlines() or ["(nothing)"]
    if len(lines) == 1:
        return [f"  {name}: {lines[0]}"]
    return [f"  {name}:", *(f"    {line}" for line in lines)]
