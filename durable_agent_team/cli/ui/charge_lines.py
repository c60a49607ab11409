"""Pure: the calls of a run, matched with the charges in its provider's ledger."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from durable_agent_team.cli.output import flat, usd
from durable_agent_team.cli.ui.program_charges import ModelCall, model_calls, scope_charges
from durable_agent_team.cli.ui.spend_table import possibly_billed_text
from durable_agent_team.cli.ui.token_text import kinds_text, saved_text
from durable_agent_team.client.recorded_calls import INTERRUPTED, RecordedCall
from durable_agent_team.client.recorded_tools import RecordedToolCall
from durable_agent_team.client.run_history import RunRecord
from durable_agent_team.client.tool_views import asks_for_conversation
from durable_agent_team.contracts.base import Message, SignedUsd
from durable_agent_team.contracts.call import Usage
from durable_agent_team.contracts.ledger import Ledger
from durable_agent_team.contracts.names import ORCHESTRATOR_AGENT
from durable_agent_team.contracts.seed import Paid
from durable_agent_team.rules.seed_checks import seeded_tasks

GivenUp = tuple[int, Decimal]
"""How often a call was given up, and the most that this can have cost, in USD."""
ZERO = Decimal(0)
NOTHING: GivenUp = (0, ZERO)
DIFFERS = "DIFFERS FROM THE LEDGER"
"""The note of a call for which the run knows another amount than the ledger has."""


class ChargeLine(Message):
    """One call and its charges in the ledger.

    `amount_usd` is what the run knows, `ledger_usd` the sum of the charges under the same key; None
    where unknown.
    """

    agent: str
    task: str | None
    purpose: str | None
    model: str | None
    idempotency_key: str | None
    prompt_tokens: int
    completion_tokens: int
    amount_usd: Decimal | None
    ledger_usd: Decimal | None
    note: str
    possibly_billed_calls: int = 0
    """How often the gateway gave it up after it was sent, so that the operator may have to pay."""
    possibly_billed_usd: Decimal = Decimal(0)
    """The most that these can have cost; charged to no account."""
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    saved_usd: SignedUsd = Decimal(0)
    price_source: str = ""
    """Which prices the ledger's charge was made at."""
    scope: str | None = None
    """For a program. Its executions have what the run knows, and its calls what the ledger has."""


class AccountLine(Message):
    """One account, as `reconcile` leaves it."""

    agent: str
    account_id: str
    status: str
    budget_usd: Decimal | None
    spent_usd: Decimal | None
    reserved_usd: Decimal | None
    possibly_billed_calls: int = 0
    possibly_billed_usd: Decimal = Decimal(0)


class Reconciled(Message):
    """The output of `reconcile --json`."""

    workflow_id: str
    accounts: tuple[AccountLine, ...]
    charges: tuple[ChargeLine, ...]
    ledger_usd: Decimal | None


def charge_lines(record: RunRecord, ledgers: Sequence[Ledger] | None) -> tuple[ChargeLine, ...]:
    """All calls in their order; then the charges that only the provider's ledger has."""
    booked = {
        (ledger.agent, key): amount
        for ledger in ledgers or ()
        for key, amount in ledger.by_key().items()
    }
    of_scopes = scope_charges(ledgers)
    # A refused call that is made again with its key has several lines here and one in the ledger.
    calls = [call for call in record.calls if not asks_for_conversation(call)]
    last = {call.key: number for number, call in enumerate(calls)}
    known: dict[tuple[str, str], Decimal] = {}
    lines = []
    given_up = _possibly_billed(ledgers)
    sources = _price_sources(ledgers)
    for number, call in enumerate(calls):
        key = call.key
        known[key] = known.get(key, Decimal(0)) + (call.cost_usd or Decimal(0))
        is_last = last[key] == number
        there = booked.pop(key, None) if is_last else None
        own = model_calls(call, record, of_scopes.get(key, []))
        differs = ""
        if ledgers is not None and call.ended_at is not None and is_last:
            differs = _difference(call, known[key], there or Decimal(0))
        line = _made_by_run(
            call,
            differs,
            given_up.pop(key, NOTHING) if is_last else NOTHING,
            ledger_usd=_in_ledger(call, there, ledgers),
            price_source=sources.get(key, ""),
            is_open=record.ended_at is None,
        )
        lines.append(line)
        lines += [_made_by_program(call, each) for each in own]
    lines += _tools(record, booked, is_read=ledgers is not None)
    return (
        *_taken_over(record),
        *lines,
        *(
            _unknown(agent, key or None, amount, given_up.pop((agent, key), NOTHING))
            for (agent, key), amount in booked.items()
        ),
        *(
            _unknown(agent, key or None, Decimal(0), times)
            for (agent, key), times in given_up.items()
        ),
    )


def _made_by_run(
    call: RecordedCall,
    differs: str,
    given_up: GivenUp,
    *,
    ledger_usd: Decimal | None,
    price_source: str,
    is_open: bool,
) -> ChargeLine:
    """The line of a call that the run itself has made."""
    request, (times, most) = call.request, given_up
    used = call.result.usage if call.result is not None else Usage()
    notes = (
        *_outcome(call, is_open=is_open),
        "read back from the ledger" if call.read_back_usd else "",
        differs,
        f"program, execution {call.program.execution}" if call.program else "",
        kinds_text(used),
        saved_text(used.saved_usd),
        possibly_billed_text(times, most) if times else "",
    )
    return ChargeLine(
        agent=request.account.agent,
        task=request.task,
        purpose=request.purpose.value,
        model=request.model,
        idempotency_key=request.idempotency_key,
        **used.model_dump(),
        amount_usd=call.cost_usd,
        ledger_usd=ledger_usd,
        note=", ".join(each for each in notes if each),
        possibly_billed_calls=times,
        possibly_billed_usd=most,
        price_source=price_source,
        scope=call.program.scope if call.program else None,
    )


def _outcome(call: RecordedCall, *, is_open: bool) -> Iterator[str]:
    """How the call ended; `is_open` while the run may still get its answer."""
    result = call.result
    if call.failure:
        yield call.failure.partition(":")[0]
    if result is not None:
        yield "failed its checks" if result.reasons else ""
        yield "estimated" if result.estimated else ""
        yield "answered from the gateway's store" if result.replayed else ""
    elif call.failure is None:
        yield "in flight" if is_open else INTERRUPTED


def _tools(
    record: RunRecord, booked: dict[tuple[str, str], Decimal], *, is_read: bool
) -> Iterator[ChargeLine]:
    """A line for each call of a tool that has a price: what the run knows that it costs, and what
    the ledger has. Takes from `booked` what it has found."""
    made: dict[tuple[str, str], list[RecordedToolCall]] = {}
    for each in record.tools.calls:
        if each.order is not None and each.order.tool.price_usd is not None:
            made.setdefault((each.order.agent, each.key), []).append(each)
    for (agent, key), attempts in made.items():
        order = attempts[-1].order
        assert order is not None
        # Each result has what the call costs in all; one at a seam may have been given twice.
        known = max((each.result.charged_usd for each in attempts if each.result), default=ZERO)
        there = booked.pop((agent, key), Decimal(0))
        is_open = attempts[-1].ended_at is None
        note = f"tool {order.facts.source}"
        if is_open:
            note += ", in flight" if record.ended_at is None else f", {INTERRUPTED}"
        elif attempts[-1].failure:
            note += f", {attempts[-1].failure.partition(':')[0]}"
        yield ChargeLine(
            agent=agent, task=order.task, purpose="tool", model=None, idempotency_key=key,
            prompt_tokens=0, completion_tokens=0, amount_usd=None if is_open else known,
            ledger_usd=there if is_read else None, note=note,
        )  # fmt: skip


def _in_ledger(
    call: RecordedCall, there: Decimal | None, ledgers: Sequence[Ledger] | None
) -> Decimal | None:
    """None for a program, whose calls have lines of their own."""
    if ledgers is None or call.program is not None:
        return None
    return there or Decimal(0)


def _made_by_program(call: RecordedCall, made: ModelCall) -> ChargeLine:
    note = f"made by the program, attempt {made.attempt}" if made.attempt else "made by the program"
    return ChargeLine(
        agent=call.request.account.agent, task=call.request.task,
        purpose=call.request.purpose.value, model=None, idempotency_key=made.idempotency_key,
        prompt_tokens=made.prompt_tokens, completion_tokens=made.completion_tokens,
        amount_usd=None, ledger_usd=made.amount_usd,
        note=f"{note}, estimated" if made.estimated else note, scope=call.request.idempotency_key,
    )  # fmt: skip


def _possibly_billed(ledgers: Sequence[Ledger] | None) -> dict[tuple[str, str], GivenUp]:
    """By agent and key: how often a call was given up, and the most that this can have cost."""
    found: dict[tuple[str, str], GivenUp] = {}
    for ledger in ledgers or ():
        for each in ledger.possibly_billed:
            key = (ledger.agent, each.scope or each.idempotency_key or "")
            times, most = found.get(key, NOTHING)
            found[key] = times + 1, most + (each.bound_usd or Decimal(0))
    return found


def _price_sources(ledgers: Sequence[Ledger] | None) -> dict[tuple[str, str], str]:
    """By agent and key: which prices a call was charged at."""
    return {
        (ledger.agent, charge.scope or charge.idempotency_key or ""): charge.price_source
        for ledger in ledgers or ()
        for charge in ledger.charges
    }


def _taken_over(record: RunRecord) -> Iterator[ChargeLine]:
    """What the run took over: paid elsewhere, so its amounts here are zero."""
    seed = record.request.seed if record.request is not None else None
    if seed is None or record.request is None:
        return
    agents = {task.id: task.agent for task in seeded_tasks(record.request)}
    if seed.plan is not None and seed.plan.cost_usd:
        yield _reused(ORCHESTRATOR_AGENT, "plan", seed.plan, seed.origin)
    for task, made in seed.tasks.items():
        yield _reused(agents.get(task, ""), task, made, seed.origin)
    if seed.answer is not None:
        yield _reused(ORCHESTRATOR_AGENT, "answer", seed.answer, seed.origin)


def _reused(agent: str, task: str, paid: Paid, origin: str) -> ChargeLine:
    where = f"taken over from {flat(paid.origin or origin)}, {usd(paid.cost_usd)} USD there"
    return ChargeLine(
        agent=agent, task=task, purpose=None, model=paid.model, idempotency_key=None,
        prompt_tokens=0, completion_tokens=0, amount_usd=Decimal(0), ledger_usd=None, note=where,
    )  # fmt: skip


def _difference(call: RecordedCall, known: Decimal, booked: Decimal) -> str:
    if known == booked:
        return ""
    if call.failure is not None and known < booked:
        return "charged anyway"  # an open run reads that from the ledger later
    return DIFFERS


def _unknown(agent: str, key: str | None, amount: Decimal, given_up: GivenUp) -> ChargeLine:
    times, most = given_up
    notes = ["in the ledger, not in this history"]
    notes += [possibly_billed_text(times, most)] if times else []
    return ChargeLine(
        agent=agent, task=None, purpose=None, model=None, idempotency_key=key, prompt_tokens=0,
        completion_tokens=0, amount_usd=None, ledger_usd=amount, note=", ".join(notes),
        possibly_billed_calls=times, possibly_billed_usd=most,
    )  # fmt: skip
