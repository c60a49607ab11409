"""A call that is made again under its `Idempotency-Key` is paid once."""

import asyncio
from dataclasses import replace
from typing import Any

from conformance.adapters.adapter import Account, Need
from conformance.bench import ARRIVAL_SECONDS, Bench
from conformance.checks.check import Check
from conformance.gateway_door import Answer
from conformance.outcome import Claim, Fact, Outcome, judged
from conformance.upstream import HELD, OK, Reply, Script


async def same_key(bench: Bench) -> Outcome:
    return await _twice(bench)


async def same_key_stream(bench: Bench) -> Outcome:
    return await _twice(bench, stream=True)


async def _twice(bench: Bench, **more: Any) -> Outcome:
    account = await bench.roomy()
    script = bench.upstream.script(OK)
    call = bench.call(account, script, key=True, **more)
    answers = [await bench.send(call), await bench.send(call)]
    return await _paid_once(bench, account, script, answers)


async def same_key_at_once(bench: Bench) -> Outcome:
    account = await bench.roomy()
    script = bench.upstream.script(HELD)
    call = bench.call(account, script, key=True)
    answers = await bench.send_all([call, call, call], script)
    return await _paid_once(bench, account, script, answers)


async def retry_after_timeout(bench: Bench) -> Outcome:
    """The client gives up while the upstream works, and asks again."""
    account = await bench.roomy()
    script = bench.upstream.script(HELD)
    call = bench.call(account, script, key=True)
    first = asyncio.create_task(bench.door.send(call))
    await script.until_called(1, ARRIVAL_SECONDS)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    again = asyncio.create_task(bench.door.send(call))
    await script.until_called(2, 0.5)
    script.release()
    return await _paid_once(bench, account, script, [await again])


async def retry_after_error(bench: Bench) -> Outcome:
    """The first attempt met an error that was not billed, so that the second one is a call, by the
    client or by a gateway that tries again itself."""
    account = await bench.roomy()
    script = bench.upstream.script(Reply(status=500), OK)
    call = bench.call(account, script, key=True)
    first = await bench.send(call)
    last = first if first.whole else await bench.send(call)
    outcome = await _paid_once(bench, account, script, [last], calls=2)
    return replace(outcome, facts={"first answer": first.status, **outcome.facts})


async def other_account(bench: Bench) -> Outcome:
    """An answer that one account has paid is not handed to another one."""
    one, two = await bench.roomy(), await bench.roomy()
    script = bench.upstream.script(OK)
    call = bench.call(one, script, key=True)
    answers = [await bench.send(call), await bench.send(replace(call, key=two.key))]
    both = [await bench.books(each, bench.cost) for each in (one, two)]
    return judged(
        {"calls upstream": script.calls, "charged": both[0].spent, "the other": both[1].spent},
        Claim(all(each.whole for each in answers), "a call was not answered"),
        Claim(script.calls == 2, "the answer of one account was handed to another"),
    )


async def _paid_once(
    bench: Bench,
    account: Account,
    script: Script,
    answers: list[Answer],
    calls: int = 1,
) -> Outcome:
    """`calls`: how many may have reached the upstream, of which it answered one with 200."""
    facts: dict[str, Fact] = {"calls upstream": script.calls}
    claims = [Claim(answer.whole, f"not answered: {answer.brief()}") for answer in answers]
    paid = script.answered
    claims.append(Claim(paid <= 1, f"the upstream was paid {paid} times"))
    claims.append(Claim(script.calls <= calls, f"{script.calls} calls instead of {calls}"))
    if Need.BOOKS in bench.adapter.offers:
        books = await bench.books(account, bench.cost)
        facts["charged"] = books.spent
        charged = round(books.spent, 9)
        claims.append(Claim(charged == bench.cost, "the account was not charged exactly once"))
    return judged(facts, *claims)


RETRIES = (
    Check("same-key", "A call repeated under its key is paid once", same_key),
    Check("same-key-stream", "A stream repeated under its key is paid once", same_key_stream),
    Check("same-key-at-once", "Three at once under one key are one call", same_key_at_once),
    Check("retry-after-timeout", "A retry after a timeout is paid once", retry_after_timeout),
    Check("retry-after-error", "A retry after an error is a new call", retry_after_error),
    Check(
        "key-of-another",
        "The same key of another account is another call",
        other_account,
        frozenset({Need.BOOKS}),
    ),
)
