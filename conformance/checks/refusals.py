"""Calls that are refused or fail: they cost nothing, and do not reach the upstream."""

from conformance.adapters.adapter import Need
from conformance.bench import Bench
from conformance.checks.check import Check
from conformance.gateway_door import Call
from conformance.outcome import Claim, Outcome, judged
from conformance.upstream import OK, Reply, Script

READS = frozenset({Need.BOOKS})


async def refused_calls(bench: Bench) -> Outcome:
    account = await bench.roomy()
    script = bench.upstream.script(OK)
    unknown = await bench.send(bench.call(account, script, model="conformance-no-such-model"))
    invalid = await bench.send(bench.call(account, script, messages=None, prompt=script.marker))
    made = script.calls
    good = await bench.send(bench.call(account, script))
    books = await bench.books(account, bench.cost)
    return judged(
        {"unknown model": unknown.status, "no messages": invalid.status, "charged": books.spent},
        Claim(unknown.refused and invalid.refused, "an invalid call was not refused"),
        Claim(made == 0, "an invalid call reached the upstream"),
        Claim(good.whole, f"the valid call after them was not answered: {good.brief()}"),
        Claim(round(books.spent, 9) == bench.cost, "not the valid call alone was charged"),
    )


async def upstream_errors(bench: Bench) -> Outcome:
    """The gateway may try again by itself; what is charged is what was answered."""
    account = await bench.roomy()
    total = answered = 0
    statuses = []
    for status in (400, 500, 429):
        script = bench.upstream.script(Reply(status=status), OK)
        for _ in range(2):
            answer = await bench.send(bench.call(account, script))
            statuses.append(str(answer.status))
        total += script.calls
        answered += script.answered
    books = await bench.books(account, answered * bench.cost)
    return judged(
        {
            "answers": " ".join(statuses),
            "calls upstream": total,
            "answered with 200": answered,
            "charged": books.spent,
        },
        Claim(answered > 0, "no call was answered after the errors"),
        Claim(round(books.spent, 9) == answered * bench.cost, "not the answered calls are charged"),
        Claim(not books.reserved, "money is still reserved"),
    )


async def unpriced_model(bench: Bench) -> Outcome:
    account = await bench.roomy()
    script = bench.upstream.script(OK)
    answer = await bench.send(bench.call(account, script, model=bench.models.unpriced))
    books = await bench.books(account)
    return judged(
        {"answer": answer.status, "calls upstream": script.calls, "charged": books.spent},
        Claim(script.calls == 0 or books.spent > 0, "a model without a price was free"),
    )


async def unknown_key(bench: Bench) -> Outcome:
    account = await bench.roomy()
    script = bench.upstream.script(OK)
    call = bench.call(account, script)
    answer = await bench.send(Call(f"{account.key}x", call.body))
    return _kept_out(script, answer.status)


async def disabled_key(bench: Bench) -> Outcome:
    account = await bench.roomy()
    script = bench.upstream.script(OK)
    before = await bench.send(bench.call(account, bench.upstream.script(OK)))
    await bench.adapter.disable(account)
    answer = await bench.send(bench.call(account, script))
    made = _kept_out(script, answer.status)
    if not before.whole:
        return judged(made.facts, Claim(False, f"it paid for no call before: {before.brief()}"))
    return made


def _kept_out(script: Script, status: int) -> Outcome:
    return judged(
        {"answer": status, "calls upstream": script.calls},
        Claim(status in (401, 402, 403), "the call was not refused with 401, 402 or 403"),
        Claim(script.calls == 0, "the call reached the upstream"),
    )


REFUSALS = (
    Check("refused-calls", "Calls that are refused cost nothing", refused_calls, READS),
    Check("upstream-errors", "Errors of the upstream cost nothing", upstream_errors, READS),
    Check(
        "unpriced-model",
        "A model without a price is not free",
        unpriced_model,
        READS | {Need.UNPRICED},
    ),
    Check("unknown-key", "An unknown key is refused", unknown_key),
    Check(
        "disabled-key",
        "A disabled key is refused at once",
        disabled_key,
        frozenset({Need.DISABLE}),
    ),
)
