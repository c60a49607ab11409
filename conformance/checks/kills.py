"""SIGKILL for the gateway: between calls, in the middle of a call, in the middle of a stream."""

import asyncio
from typing import Any

from conformance.adapters.adapter import Need
from conformance.bench import ARRIVAL_SECONDS, Bench
from conformance.checks.check import Check
from conformance.outcome import Claim, Outcome, judged
from conformance.started_gateway import StartedGateway
from conformance.upstream import HELD, OK

RESTARTS = frozenset({Need.BOOKS, Need.RESTART})
PAID = 3


async def after_answers(bench: Bench) -> Outcome:
    """Three calls are answered; the gateway is killed in that moment."""
    account = await bench.roomy()
    script = bench.upstream.script(OK)
    for _ in range(PAID):
        await bench.send(bench.call(account, script))
    await _gateway(bench).restart()
    paid = bench.cost * script.answered
    books = await bench.books(account, paid)
    return judged(
        {"calls upstream": script.calls, "their price": paid, "charged after it": books.spent},
        Claim(script.answered == PAID, f"{script.answered} of {PAID} calls were answered"),
        Claim(round(books.spent, 9) == paid, "the books lost what was answered before the kill"),
    )


async def replay(bench: Bench) -> Outcome:
    """A call is answered, the gateway is killed, and the client asks again under the same key."""
    account = await bench.roomy()
    script = bench.upstream.script(OK)
    call = bench.call(account, script, key=True)
    first = await bench.send(call)
    await _gateway(bench).restart()
    again = await bench.send(call)
    books = await bench.books(account, bench.cost)
    return judged(
        {"calls upstream": script.calls, "charged": books.spent},
        Claim(first.whole and again.whole, f"not answered: {again.brief()}"),
        Claim(script.calls == 1, f"the upstream was paid {script.calls} times"),
        Claim(round(books.spent, 9) == bench.cost, "the account was not charged exactly once"),
    )


async def in_call(bench: Bench) -> Outcome:
    return await _in_flight(bench)


async def in_stream(bench: Bench) -> Outcome:
    return await _in_flight(bench, stream=True)


async def _in_flight(bench: Bench, **more: Any) -> Outcome:
    """The upstream has the call and bills it; nobody is there to receive its answer. The client
    then asks again under the same key."""
    account = await bench.roomy()
    script = bench.upstream.script(HELD)
    call = bench.call(account, script, key=True, **more)
    first = asyncio.create_task(bench.door.send(call))
    await script.until_called(1, ARRIVAL_SECONDS)
    await _gateway(bench).kill()
    broken = await first
    script.release()
    await _gateway(bench).start()
    lost = await bench.books(account, bench.cost / 1000)
    again = await bench.send(call)
    books = await bench.books(account, bench.cost)
    known = lost.spent + lost.possibly_billed
    return judged(
        {
            "calls upstream": script.calls,
            "known after the kill": known,
            "charged in the end": books.spent,
        },
        Claim(not broken.whole, "the client got a broken answer as a complete one"),
        Claim(known > 0, "the books know nothing of a call that the upstream can bill"),
        Claim(not lost.reserved, "money is still reserved after the restart"),
        Claim(again.whole, f"the retry was not answered: {again.brief()}"),
        Claim(books.spent >= bench.cost, "the retry was not charged"),
        Claim(round(books.spent, 9) <= 2 * bench.cost, "more was charged than both calls"),
    )


def _gateway(bench: Bench) -> StartedGateway:
    assert bench.gateway is not None, "`needs` has RESTART"
    return bench.gateway


KILLS = (
    Check(
        "kill-after-answers",
        "What was answered before a kill is in the books",
        after_answers,
        RESTARTS,
    ),
    Check("kill-replay", "What was answered before a kill is not paid again", replay, RESTARTS),
    Check("kill-in-call", "A call in flight at a kill is in the books", in_call, RESTARTS),
    Check("kill-in-stream", "A stream in flight at a kill is in the books", in_stream, RESTARTS),
)
