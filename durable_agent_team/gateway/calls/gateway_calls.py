"""One paid call: reserve, call upstream, settle. It goes on when its client has gone."""

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from durable_agent_team.gateway.amounts import usd, usd_text
from durable_agent_team.gateway.api_error import (
    ApiError,
    conflict,
    invalid,
    unauthorized,
    unavailable,
)
from durable_agent_team.gateway.calls.answer import Billed, Failed
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.relay import Relay
from durable_agent_team.gateway.stores.store import (
    Account,
    Cause,
    NewCall,
    Pending,
    Reserved,
    Settlement,
    Store,
    StoredCall,
    StoreError,
    StoreRefusal,
    Why,
)
from durable_agent_team.gateway.upstreams.http_upstream import Upstream

log = logging.getLogger("gateway.calls")

SETTLE_PAUSES = (0.1, 0.5, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How a call ended: an answer (`body`), or an error. With the account as it is now."""

    account: Account | None
    status: int = 200
    body: bytes = b""
    error: ApiError | None = None
    replayed: bool = False
    billed: Billed | None = None


@dataclass(slots=True)
class Flight:
    body_hash: str
    task: "asyncio.Task[CallOutcome]"


@dataclass
class CallService:
    """All calls of this process. `refused` are models whose price entry proved too low."""

    store: Store
    upstream: Upstream
    refused: dict[tuple[str, str], int] = field(default_factory=dict)
    scrub: Callable[[str], str] = str
    """Takes keys out of an upstream's error before it is stored."""
    _by_key: dict[tuple[str, str], Flight] = field(default_factory=dict)
    _by_account: dict[str, set["asyncio.Task[CallOutcome]"]] = field(default_factory=dict)

    async def make(
        self,
        account_id: str,
        key: str | None,
        request: ChatRequest,
        relay: Relay | None = None,
    ) -> CallOutcome:
        """The call's outcome. Cancelling the caller does not cancel the call.

        A streamed answer that is made by this very call has gone through `relay` by then; the
        outcome's body is the whole of it, packed (`relay.unpack`), if it has a key.
        """
        flight = self._by_key.get((account_id, key)) if key is not None else None
        if flight is None or flight.body_hash != request.body_hash:
            # Which of two bodies a key stands for is the store's to say: the one in flight may be
            # the one that is just being refused.
            relay = relay or Relay(keep=key is not None)
            task = self._start(account_id, key, request, relay)
            if flight is None and key is not None:
                self._let_join(account_id, key, Flight(request.body_hash, task))
            return await asyncio.shield(task)
        outcome = await asyncio.shield(flight.task)
        if outcome.error is not None:
            return outcome
        return CallOutcome(outcome.account, outcome.status, outcome.body, replayed=True)

    def _start(
        self, account_id: str, key: str | None, request: ChatRequest, relay: Relay
    ) -> "asyncio.Task[CallOutcome]":
        task = asyncio.create_task(self._run(account_id, key, request, relay))
        flights = self._by_account.setdefault(account_id, set())
        flights.add(task)

        def forget(_: object) -> None:
            if not task.cancelled() and (error := task.exception()):
                log.error("call failed: %s", error, exc_info=error)
            flights.discard(task)
            if not flights:
                self._by_account.pop(account_id, None)

        task.add_done_callback(forget)
        return task

    def _let_join(self, account_id: str, key: str, flight: Flight) -> None:
        self._by_key[account_id, key] = flight
        flight.task.add_done_callback(lambda _: self._by_key.pop((account_id, key)))

    async def _run(
        self, account_id: str, key: str | None, request: ChatRequest, relay: Relay
    ) -> CallOutcome:
        if why := self.upstream.not_ready():
            account = await self.store.account(account_id)
            return CallOutcome(account, error=unavailable(why, "upstream_not_ready"))
        call_id = uuid.uuid4().hex
        call = NewCall(call_id, account_id, key, request.body_hash, request.model, request.bound)
        begun = await self.store.begin(call)
        pause = 0.02
        while isinstance(begun, Pending):  # in another process, so there is no event to wait for
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.5)
            begun = await self.store.begin(call)
        if isinstance(begun, StoredCall):
            return CallOutcome(begun.account, begun.status, begun.response, replayed=True)
        if isinstance(begun, StoreRefusal) and begun.why is not Why.EXHAUSTED:
            return CallOutcome(begun.account, error=_refusal(begun, request))
        if error := self._too_dear(request):  # not before: what was paid for is answered as before
            taken = isinstance(begun, Reserved)
            account = await self.store.release(call.id, None) if taken else begun.account
            return CallOutcome(account, error=error)
        if isinstance(begun, StoreRefusal):
            return CallOutcome(begun.account, error=_refusal(begun, request))
        return await self._call(call, request, relay)

    async def _call(self, call: NewCall, request: ChatRequest, relay: Relay) -> CallOutcome:
        try:
            upstream_key = f"{call.account_id}:{call.key or call.id}"
            answer = await self.upstream.complete(request, upstream_key, relay)
        except BaseException as error:
            # Stopped, or a mistake of ours: in both cases the upstream may have billed it.
            await self.store.release(call.id, Cause.GATEWAY_DIED)
            if isinstance(error, asyncio.CancelledError):
                return CallOutcome(None, error=unavailable("The gateway is stopping", "stopping"))
            raise
        if isinstance(answer, Failed):
            account = await self.store.release(call.id, answer.cause)
            return CallOutcome(account, error=answer.error)
        if answer.status != 200:
            answer = replace(answer, body=self.scrub(answer.body.decode()).encode())
        if answer.tail:
            answer = replace(answer, body=relay.packed(answer.tail))
        outcome = await self._settle(call, request, answer)
        if answer.tail and outcome.error is None:
            relay.add(answer.tail)
        return outcome

    async def _settle(self, call: NewCall, request: ChatRequest, billed: Billed) -> CallOutcome:
        fingerprint = request.price.fingerprint
        settlement = Settlement(
            call.id,
            billed.prompt_tokens,
            billed.completion_tokens,
            billed.amount,
            billed.estimated,
            billed.overrun,
            billed.status,
            billed.body,
            fingerprint,
        )
        account = await self._insist(settlement)
        if account is None:
            message = "The call took longer than its lease (GATEWAY_LEASE_SECONDS); try it again"
            return CallOutcome(None, error=unavailable(message, "lease_expired"))
        if billed.overrun:
            entry = (call.model, fingerprint)
            self.refused[entry] = self.refused.get(entry, 0) + billed.overrun
            log.error("overrun model=%s usd=%s", call.model, usd_text(billed.overrun))
        return CallOutcome(account, billed.status, billed.body, billed=billed)

    async def _insist(self, settlement: Settlement) -> Account | None:
        """The answer is paid for: a database that is busy or full for a moment is waited for."""
        for pause in SETTLE_PAUSES:
            try:
                return await self.store.settle(settlement)
            except StoreError as error:
                log.error("settle failed, trying again in %g s: %s", pause, error)
                await asyncio.sleep(pause)
        return await self.store.settle(settlement)

    def _too_dear(self, request: ChatRequest) -> ApiError | None:
        """If the model once cost more than its entry allows for."""
        overrun = self.refused.get((request.model, request.price.fingerprint))
        if not overrun:
            return None
        return invalid(
            f"The model {request.model!r} cost {usd_text(overrun)} USD more than the upper"
            " bound that its price entry gives. Correct the entry (prices, message_tokens,"
            " request_tokens) and start the gateway again.",
            "model_refused",
        )

    async def settled(self, account_id: str, wait_seconds: float) -> Account | None:
        """The account as soon as nothing of it is reserved any more, or the time is over."""
        deadline = asyncio.get_running_loop().time() + wait_seconds
        while True:
            account = await self.store.account(account_id)
            left = deadline - asyncio.get_running_loop().time()
            if account is None or not account.reserved or left <= 0:
                return account
            if tasks := self._by_account.get(account_id):
                await asyncio.wait(tasks, timeout=left)
            else:  # another process holds it
                await asyncio.sleep(min(left, 0.1))

    async def drain(self, seconds: float) -> None:
        """Lets calls in flight finish for so long; then gives their reservations back."""
        tasks = {task for flights in self._by_account.values() for task in flights}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


def _refusal(refused: StoreRefusal, request: ChatRequest) -> ApiError:
    account = refused.account
    if refused.why is Why.CONFLICT:
        message = "This Idempotency-Key was used with another body. Use a new key for a new call."
        return conflict(message, "idempotency_conflict")
    if refused.why is Why.ANSWER_DROPPED:
        message = (
            "This call was made and paid before; its answer was dropped when the account was"
            " disabled. Use a new Idempotency-Key to pay for a new one."
        )
        return ApiError(410, "conflict", "answer_dropped", message)
    if account is None:
        return unauthorized()
    if refused.why is Why.DISABLED:
        message = (
            f"The account {account.name!r} is disabled; PATCH its `status` to `active` with the"
            " parent key, and it can pay again"
        )
        return ApiError(402, "account_disabled", "account_disabled", message)
    return exhausted(account, request.bound)


def exhausted(account: Account, required: int) -> ApiError:
    held = (
        f" ({usd_text(account.reserved)} USD held by calls in flight)" if account.reserved else ""
    )
    return ApiError(
        402,
        "insufficient_funds",
        "budget_exhausted",
        f"The account {account.name!r} has {usd_text(account.remaining)} USD left{held}; this call"
        f" may cost up to {usd_text(required)} USD. Raise the budget or lower max_tokens.",
        {
            "remaining_usd": usd(account.remaining),
            "required_usd": usd(required),
            "reserved_usd": usd(account.reserved),
        },
    )
