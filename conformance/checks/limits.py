"""The budget holds: by races, by streams, and call by call."""

from decimal import Decimal
from typing import Any

from conformance.adapters.adapter import Account, Need
from conformance.bench import Bench
from conformance.checks.check import Check
from conformance.gateway_door import Answer
from conformance.outcome import Claim, Fact, Outcome, judged
from conformance.upstream import HELD, OK, Script

FITTING = 5
RACING = 25
MOST_CALLS = 200
REFUSALS = (402, 429)


async def race(bench: Bench) -> Outcome:
    return await _race(bench)


async def race_of_streams(bench: Bench) -> Outcome:
    return await _race(bench, stream=True)


async def _race(bench: Bench, **more: Any) -> Outcome:
    """The budget is for five calls and a half, and 25 come at once."""
    account = await _to_exhaust(bench, Decimal(FITTING) + Decimal("0.5"))
    racing = int(account.budget / bench.cost) + RACING - FITTING
    script = bench.upstream.script(HELD)
    calls = [bench.call(account, script, **more) for _ in range(racing)]
    answers = await bench.send_all(calls, script)
    through = sum(answer.whole for answer in answers)
    facts, claims = await _within_budget(bench, account, script)
    return judged(
        {"racing": racing, "answered": through, **facts},
        Claim(through > 0, f"none was answered: {answers[0].brief()}"),
        *claims,
    )


async def last_call(bench: Bench) -> Outcome:
    """The budget is for a call and a half: the second one, which can be seen not to fit, is
    refused before it is made."""
    account = await _to_exhaust(bench, Decimal("1.5"))
    script = bench.upstream.script(OK)
    await _until_refused(bench, account, script)
    facts, claims = await _within_budget(bench, account, script)
    return judged(facts, Claim(script.calls > 0, "no call was made"), *claims)


async def exhausted(bench: Bench) -> Outcome:
    account = await _to_exhaust(bench, Decimal("1.5"))
    script = bench.upstream.script(OK)
    answer = await _until_refused(bench, account, script)
    made = script.calls
    again = await bench.send(bench.call(account, script))
    said = again.text.lower()
    return judged(
        {"answer": again.brief()},
        Claim(answer.refused, "no call was refused"),
        Claim(again.status in REFUSALS, f"status {again.status} instead of 402 or 429"),
        Claim("budget" in said or "balance" in said, "the answer does not name the budget"),
        Claim(script.calls == made, "the refused call reached the upstream"),
    )


async def _until_refused(bench: Bench, account: Account, script: Script) -> Answer:
    """Call by call, each after the books have the one before."""
    most = int(account.budget / bench.cost) + 4
    for _ in range(most):
        answer = await bench.send(bench.call(account, script))
        if answer.refused:
            break
        if Need.BOOKS in bench.adapter.offers:
            await bench.books(account, bench.cost * script.calls)
    return answer


async def _to_exhaust(bench: Bench, calls: Decimal) -> Account:
    return await bench.adapter.open_to_exhaust(bench.cost * calls, bench.cost * MOST_CALLS)


async def _within_budget(
    bench: Bench, account: Account, script: Script
) -> tuple[dict[str, Fact], list[Claim]]:
    """By what the upstream was called for, and by the books."""
    cost = script.calls * bench.cost
    facts: dict[str, Fact] = {
        "calls upstream": script.calls,
        "their price": cost,
        "budget": account.budget,
    }
    claims = [Claim(cost <= account.budget, "the calls cost more than the budget")]
    if Need.BOOKS in bench.adapter.offers:
        books = await bench.books(account, cost)
        facts["charged"] = books.spent
        agree = round(books.spent, 9) == cost
        claims.append(Claim(agree, "the books differ from the upstream"))
    return facts, claims


LIMITS = (
    Check("race", "Calls that race for the last money never exceed the budget", race),
    Check("race-streams", "Streams that race never exceed the budget", race_of_streams),
    Check("last-call", "A call that does not fit the rest is not made", last_call),
    Check("exhausted", "An exhausted budget answers 402 or 429, with the reason", exhausted),
)
