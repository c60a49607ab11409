"""What a call is charged: by the price, whatever the usage looks like."""

from decimal import Decimal
from typing import Any

from conformance.adapters.adapter import Need
from conformance.bench import Bench
from conformance.checks.check import Check
from conformance.outcome import Claim, Outcome, judged
from conformance.upstream import OK, USED, Reply

READS = frozenset({Need.BOOKS})


async def price(bench: Bench) -> Outcome:
    return await _exactly(bench)


async def price_of_stream(bench: Bench) -> Outcome:
    return await _exactly(bench, stream=True)


async def _exactly(bench: Bench, **more: Any) -> Outcome:
    account = await bench.roomy()
    script = bench.upstream.script(OK)
    answer = await bench.send(bench.call(account, script, **more))
    books = await bench.books(account, bench.cost)
    return judged(
        {"calls upstream": script.calls, "price": bench.cost, "charged": books.spent},
        Claim(answer.whole, f"the call was not answered: {answer.brief()}"),
        Claim(round(books.spent, 9) == bench.cost, "the charge is not the price"),
    )


async def missing_usage(bench: Bench) -> Outcome:
    return await _not_free(bench, None)


async def missing_usage_in_stream(bench: Bench) -> Outcome:
    return await _not_free(bench, None, stream=True)


async def zero_usage(bench: Bench) -> Outcome:
    return await _not_free(bench, dict.fromkeys(USED, 0))


async def _not_free(bench: Bench, usage: dict[str, Any] | None, **more: Any) -> Outcome:
    """An answer of a hundred words has a cost, whatever the upstream says of it."""
    account = await bench.roomy()
    script = bench.upstream.script(Reply(usage=usage))
    answer = await bench.send(bench.call(account, script, **more))
    books = await bench.books(account, bench.cost / 1000)
    charged = books.spent + books.possibly_billed
    return judged(
        {"calls upstream": script.calls, "charged": books.spent},
        Claim(charged > 0 or not answer.whole, "a complete answer was free"),
    )


async def negative_usage(bench: Bench) -> Outcome:
    account = await bench.roomy()
    bad = {"prompt_tokens": -100_000, "completion_tokens": -100_000, "total_tokens": -200_000}
    script = bench.upstream.script(OK, Reply(usage=bad))
    await bench.send(bench.call(account, script))
    before = await bench.books(account, bench.cost)
    await bench.send(bench.call(account, script))
    after = await bench.books(account, before.spent)
    return judged(
        {"calls upstream": script.calls, "before": before.spent, "after": after.spent},
        Claim(after.spent >= before.spent, "the account was credited"),
        Claim(after.spent != before.spent, "a complete answer was free"),
    )


async def cached_usage(bench: Bench) -> Outcome:
    """No price of cached tokens is configured: they cost between nothing and the full price."""
    account = await bench.roomy()
    cached = {**USED, "prompt_tokens_details": {"cached_tokens": 80}}
    script = bench.upstream.script(Reply(usage=cached))
    await bench.send(bench.call(account, script))
    least = bench.cost - 80 * bench.models.input_price / 1_000_000
    books = await bench.books(account, least)
    spent = round(books.spent, 9)
    return judged(
        {"calls upstream": script.calls, "price": bench.cost, "charged": books.spent},
        Claim(spent <= bench.cost, "more than the full price was charged"),
        Claim(spent >= least, "less was charged than without the cached tokens"),
    )


async def absurd_usage(bench: Bench) -> Outcome:
    """A thousand tokens were asked for; a billion would cost many times the budget."""
    account = await bench.roomy()
    absurd = {"prompt_tokens": 100, "completion_tokens": 10**9, "total_tokens": 10**9 + 100}
    script = bench.upstream.script(Reply(usage=absurd))
    await bench.send(bench.call(account, script))
    books = await bench.books(account, bench.cost / 1000)
    return judged(
        {"calls upstream": script.calls, "budget": account.budget, "charged": books.spent},
        Claim(books.spent <= account.budget, "the books exceed the budget"),
        Claim(books.spent > Decimal(0), "a complete answer was free"),
    )


CHARGES = (
    Check("price", "A call costs its tokens at their price", price, READS),
    Check("price-stream", "A streamed call costs the same", price_of_stream, READS),
    Check("missing-usage", "An answer without usage is not free", missing_usage, READS),
    Check(
        "missing-usage-stream",
        "A stream without usage is not free",
        missing_usage_in_stream,
        READS,
    ),
    Check("zero-usage", "An answer with a usage of zero is not free", zero_usage, READS),
    Check("negative-usage", "A negative usage credits nothing", negative_usage, READS),
    Check("cached-usage", "Cached tokens cost no more than others", cached_usage, READS),
)
ABSURD = Check(
    "absurd-usage", "A usage beyond max_tokens cannot exceed the budget", absurd_usage, READS
)
