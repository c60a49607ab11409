"""A client that leaves or dies, and an upstream that breaks off: the books know what was called."""

import asyncio
from typing import Any

from conformance.adapters.adapter import Account, Need
from conformance.bench import ARRIVAL_SECONDS, QUIET_SECONDS, Bench
from conformance.checks.check import Check
from conformance.outcome import Claim, Fact, Outcome, judged
from conformance.upstream import HELD, Reply, Script

READS = frozenset({Need.BOOKS})
BROKEN = Reply(usage=None, break_off=True)


async def client_killed(bench: Bench) -> Outcome:
    return await _client_killed(bench)


async def client_killed_in_stream(bench: Bench) -> Outcome:
    return await _client_killed(bench, stream=True)


async def _client_killed(bench: Bench, **more: Any) -> Outcome:
    account = await bench.roomy()
    script = bench.upstream.script(HELD)
    async with bench.door.client_process(bench.call(account, script, **more)) as client:
        await script.until_called(1, ARRIVAL_SECONDS)
        if more:
            assert client.stdout is not None
            await asyncio.wait_for(client.stdout.readline(), ARRIVAL_SECONDS)
    await asyncio.sleep(QUIET_SECONDS)
    script.release()
    return await _accounted_for(bench, account, script)


async def stream_left(bench: Bench) -> Outcome:
    account = await bench.roomy()
    script = bench.upstream.script(HELD)
    answer = await bench.door.leave_early(bench.call(account, script, stream=True))
    await asyncio.sleep(QUIET_SECONDS)
    script.release()
    begun = Claim(answer.status == 200, f"the stream did not begin: {answer.brief()}")
    return await _accounted_for(bench, account, script, begun)


async def broken_answer(bench: Bench) -> Outcome:
    return await _broken(bench)


async def broken_stream(bench: Bench) -> Outcome:
    return await _broken(bench, stream=True)


async def _broken(bench: Bench, **more: Any) -> Outcome:
    """The client has to see it, and the books have to know that it may have been billed."""
    account = await bench.roomy()
    script = bench.upstream.script(BROKEN)
    answer = await bench.send(bench.call(account, script, **more))
    seen = Claim(not answer.whole, "the client got a broken answer as a complete one")
    return await _accounted_for(bench, account, script, seen)


async def _accounted_for(bench: Bench, account: Account, script: Script, *claims: Claim) -> Outcome:
    books = await bench.books(account, bench.cost / 1000)
    known = books.spent + books.possibly_billed
    facts: dict[str, Fact] = {"calls upstream": script.calls, "charged": books.spent}
    if books.possibly_billed:
        facts["possibly billed"] = books.possibly_billed
    return judged(
        facts,
        Claim(script.calls > 0, "the call did not reach the upstream"),
        Claim(known > 0, "the books know nothing of a call that the upstream can bill"),
        Claim(books.spent <= account.budget, "the books exceed the budget"),
        Claim(not books.reserved, "money is still reserved"),
        *claims,
    )


DEPARTURES = (
    Check(
        "client-killed", "A call is in the books when its client was killed", client_killed, READS
    ),
    Check(
        "client-killed-stream",
        "A stream is in the books when its client was killed",
        client_killed_in_stream,
        READS,
    ),
    Check("stream-left", "A stream that its client left is in the books", stream_left, READS),
    Check("broken-answer", "A broken answer is an error, and in the books", broken_answer, READS),
    Check("broken-stream", "A broken stream is an error, and in the books", broken_stream, READS),
)
