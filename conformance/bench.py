"""What every check works with: the gateway's door, the upstream, the accounts and their books."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from conformance.adapters.adapter import Account, Adapter, Books
from conformance.gateway_door import Answer, Call, Door
from conformance.started_gateway import StartedGateway
from conformance.upstream import USED, Script, Upstream

ARRIVAL_SECONDS = 10.0
"""How long a call may take from the client to the upstream."""
QUIET_SECONDS = 0.3
MAX_TOKENS = USED["completion_tokens"]


@dataclass(frozen=True)
class Models:
    """Names and prices, in USD per million tokens, as the gateway is configured."""

    priced: str
    unpriced: str | None
    input_price: Decimal
    output_price: Decimal

    @property
    def cost(self) -> Decimal:
        """What one call of the priced model costs whose usage is `USED`."""
        tokens_in, tokens_out = int(USED["prompt_tokens"]), int(USED["completion_tokens"])
        return (tokens_in * self.input_price + tokens_out * self.output_price) / 1_000_000


@dataclass
class Bench:
    """`settle_seconds`: how much longer than the adapter's delay the books may take."""

    door: Door
    upstream: Upstream
    adapter: Adapter
    models: Models
    settle_seconds: float
    gateway: StartedGateway | None
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def __post_init__(self) -> None:
        self._keys = itertools.count(1)

    @property
    def cost(self) -> Decimal:
        return self.models.cost

    def call(self, account: Account, script: Script, *, key: bool = False, **more: Any) -> Call:
        """A call that the script answers; `key`: with an idempotency key of its own. What is in
        `more` replaces fields of the body, and None removes them."""
        body = {
            "model": self.models.priced,
            "messages": [{"role": "user", "content": f"{script.marker} Count to a hundred."}],
            "max_tokens": MAX_TOKENS,
            **more,
        }
        if body.get("stream"):
            body["stream_options"] = {"include_usage": True}
        body = {name: value for name, value in body.items() if value is not None}
        fresh = f"{self.name}-{next(self._keys)}" if key else None
        return Call(account.key, body, fresh)

    async def roomy(self) -> Account:
        """An account with money for twenty calls."""
        return await self.adapter.open(self.cost * 20)

    async def send(self, call: Call) -> Answer:
        return await self.door.send(call)

    async def send_all(self, calls: Sequence[Call], script: Script) -> list[Answer]:
        """All at once; the upstream, which holds its answers, has received all that come."""
        sending = [asyncio.create_task(self.door.send(call)) for call in calls]
        await script.until_called(1, ARRIVAL_SECONDS)
        await script.until_quiet(max(QUIET_SECONDS, 0.02 * len(calls)))
        script.release()
        return list(await asyncio.gather(*sending))

    async def books(self, account: Account, at_least: Decimal = Decimal(0)) -> Books:
        """After the delay of the adapter, as soon as they show `at_least` and nothing reserved."""
        await asyncio.sleep(self.adapter.books_delay)
        began = time.monotonic()
        while True:
            books = await self.adapter.books(account)
            known = round(books.spent + books.possibly_billed, 9)
            if (
                known >= at_least and not books.reserved
            ) or time.monotonic() - began > self.settle_seconds:
                return books
            await asyncio.sleep(0.05)
