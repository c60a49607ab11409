"""Makes paid calls: reserve, call the upstream, settle. A call continues if its client leaves."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from typing import TypeVar

from durable_agent_team.gateway.amounts import usd_text
from durable_agent_team.gateway.api_error import ApiError, unavailable
from durable_agent_team.gateway.calls.answer import FailedCall, possibly_billed
from durable_agent_team.gateway.calls.charge import BilledAnswer
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.claims import Claim, Claims
from durable_agent_team.gateway.calls.refusals import model_refused, refusal_error, superseded
from durable_agent_team.gateway.calls.relay import Relay
from durable_agent_team.gateway.calls.scope_watch import ScopeWatch
from durable_agent_team.gateway.calls.upstream_protocol import Upstream
from durable_agent_team.gateway.identifiers import call_id
from durable_agent_team.gateway.stores.account_records import Account
from durable_agent_team.gateway.stores.store import (
    CrowdedScope,
    InterruptionCause,
    NewCall,
    PendingCall,
    RefusalReason,
    Reserved,
    Settlement,
    Store,
    StoredCall,
    StoreError,
    StoreRefusal,
)

T = TypeVar("T")
log = logging.getLogger("gateway.calls")

SETTLE_PAUSES = (0.1, 0.5, 2.0)
LONGEST_SETTLE_PAUSE = 5.0
"""In seconds; repeated until the call's lease is about to end."""
FIRST_POLL_SECONDS = 0.02
MAX_POLL_SECONDS = 0.5
CROWDED_SECONDS = 0.05
"""How long a request waits before the store numbers it beside an equal one of its scope. A gateway
can take this long to notice that the client of the equal one has left."""


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How a call ended: with an answer (`body`) or an error. `account` is its state afterwards."""

    account: Account | None
    status: int = 200
    body: bytes = b""
    error: ApiError | None = None
    replayed: bool = False
    billed: BilledAnswer | None = None


@dataclass(slots=True)
class CallInFlight:
    body_hash: str
    task: "asyncio.Task[CallOutcome]"


@dataclass
class CallService:
    """All calls of this process."""

    store: Store
    upstream: Upstream
    overruns: dict[tuple[str, str], int] = field(default_factory=dict)
    """What calls have cost above their bound, by model and price fingerprint. Further calls of
    these models are refused."""
    scrub: Callable[[str], str] = str
    """Removes keys from an upstream's error before it is stored."""
    claims: Claims = field(init=False)
    scope_watch: ScopeWatch = field(init=False)
    _by_key: dict[tuple[str, str], CallInFlight] = field(default_factory=dict)
    _by_account: dict[str, set["asyncio.Task[CallOutcome]"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.claims = Claims(self.store)
        self.scope_watch = ScopeWatch(self.store)

    async def make(
        self,
        account_id: str,
        key: str | None,
        request: ChatRequest,
        relay: Relay | None = None,
        claim: Claim | None = None,
    ) -> CallOutcome:
        """Makes the call, or joins the same call if it is in flight. Returns its outcome.

        Cancelling the caller does not cancel the call. A streamed answer has gone through `relay`
        by the time this returns; with a key, the outcome's body is the whole answer, compressed
        (see `relay.decompress`). A call with a `claim` gets its key from the store.
        """
        if claim is not None:
            return await self._make_in_scope(claim, request, relay or Relay(keep=True))
        in_flight = self._by_key.get((account_id, key)) if key is not None else None
        if in_flight is None or in_flight.body_hash != request.body_hash:
            # If the bodies differ, the store decides which one the key belongs to: the call in
            # flight may be the one that is about to be refused.
            relay = relay or Relay(keep=key is not None)
            task = self._start(account_id, key, request, relay)
            if in_flight is None and key is not None:
                self._register(account_id, key, CallInFlight(request.body_hash, task))
            return await asyncio.shield(task)
        return await _join(in_flight)

    async def _make_in_scope(self, claim: Claim, request: ChatRequest, relay: Relay) -> CallOutcome:
        """A superseded request gets no answer; what it has paid is kept for the newer attempt."""
        claim.body_hash = request.body_hash
        task = self._start(claim.account_id, None, request, relay, claim)
        outcome = await asyncio.shield(task)
        if claim.is_superseded:
            return CallOutcome(outcome.account, error=superseded(claim.place, claim.newest_attempt))
        return outcome

    def _start(
        self,
        account_id: str,
        key: str | None,
        request: ChatRequest,
        relay: Relay,
        claim: Claim | None = None,
    ) -> "asyncio.Task[CallOutcome]":
        task = asyncio.create_task(self._run(account_id, key, request, relay, claim))
        tasks = self._by_account.setdefault(account_id, set())
        tasks.add(task)

        def forget(_: object) -> None:
            if not task.cancelled() and (error := task.exception()):
                log.error("call failed: %s", error, exc_info=error)
            tasks.discard(task)
            if not tasks:
                self._by_account.pop(account_id, None)

        task.add_done_callback(forget)
        return task

    def _register(self, account_id: str, key: str, call: CallInFlight) -> None:
        """Lets repetitions of the call join it while it is in flight."""
        self._by_key[account_id, key] = call
        call.task.add_done_callback(lambda _: self._by_key.pop((account_id, key)))

    async def _run(
        self,
        account_id: str,
        key: str | None,
        request: ChatRequest,
        relay: Relay,
        claim: Claim | None,
    ) -> CallOutcome:
        if reason := self.upstream.not_ready(request.target.upstream):
            account = await self.store.account(account_id)
            return CallOutcome(account, error=unavailable(reason, "upstream_not_ready"))
        lease = request.time_limit.lease_seconds if request.time_limit else None
        call = NewCall(
            id=call_id(),
            account_id=account_id,
            key=key,
            body_hash=request.body_hash,
            model=request.model,
            bound=request.bound,
            lease_seconds=lease,
            known_limits=request.known_limits,
            place=claim.place if claim else None,
        )
        begun = await self._begin(call, claim)
        if isinstance(begun, CallInFlight):
            return await _join(begun)
        if isinstance(begun, StoredCall):
            return CallOutcome(begun.account, begun.status, begun.response, replayed=True)
        if isinstance(begun, Reserved) and begun.key is not None:
            call = replace(call, key=begun.key)
            self._register_own(call)
        if isinstance(begun, StoreRefusal) and begun.reason is not RefusalReason.EXHAUSTED:
            return CallOutcome(begun.account, error=refusal_error(begun, request, call.place))
        # Not earlier: a stored answer of a model that was refused since is still replayed.
        if error := self._overrun_error(request):
            reserved = isinstance(begun, Reserved)
            account = await self.store.release(call.id, None) if reserved else begun.account
            return CallOutcome(account, error=error)
        if isinstance(begun, StoreRefusal):
            return CallOutcome(begun.account, error=refusal_error(begun, request))
        return await self._call(call, request, relay, claim, begun.lease_ends)

    def _register_own(self, call: NewCall) -> None:
        """Registers this task as the one that makes a call whose key came from the store."""
        task = asyncio.current_task()
        assert task is not None
        assert call.key is not None
        self._register(call.account_id, call.key, CallInFlight(call.body_hash, task))

    async def _begin(
        self, call: NewCall, claim: Claim | None
    ) -> Reserved | StoredCall | StoreRefusal | CallInFlight:
        """While another process makes this call, polls the store until it is done.

        A reservation whose lease has ended, since this process was stopped in between, is made
        anew: nothing was sent, and another gateway may have made the call.
        """
        pause = FIRST_POLL_SECONDS
        while True:
            if claim is not None and claim.has_left:
                return StoreRefusal(RefusalReason.CLIENT_LEFT)
            begun = await self.store.begin(call)
            if isinstance(begun, CrowdedScope):
                assert call.place is not None
                await asyncio.sleep(CROWDED_SECONDS)
                call = replace(call, place=replace(call.place, is_patient=True))
                continue
            if claim is not None:
                newest = getattr(begun, "newest_attempt", 0) or claim.place.attempt
                self.claims.saw(claim.account_id, claim.place.scope, newest)
            if isinstance(begun, Reserved) and time.monotonic() >= begun.lease_ends:
                await self.store.release(call.id, None)
                call = replace(call, key=begun.key or call.key)
                continue
            if not isinstance(begun, PendingCall):
                return begun
            if begun.key is not None:
                if in_flight := self._by_key.get((call.account_id, begun.key)):
                    return in_flight
                call = replace(call, key=begun.key)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, MAX_POLL_SECONDS)

    async def _call(
        self,
        call: NewCall,
        request: ChatRequest,
        relay: Relay,
        claim: Claim | None,
        lease_ends: float,
    ) -> CallOutcome:
        try:
            upstream_key = f"{call.account_id}:{call.key or call.id}"
            result = await self.upstream.complete(request, upstream_key, relay)
        except BaseException as error:
            # The gateway stops, or has a bug. In both cases the upstream may have billed the call.
            await self.store.release(call.id, InterruptionCause.GATEWAY_DIED)
            if isinstance(error, asyncio.CancelledError):
                stopping = unavailable("The gateway is stopping", "stopping")
                return CallOutcome(None, error=possibly_billed(stopping, call.bound))
            raise
        if isinstance(result, FailedCall):
            cause = result.cause
            account = await _written(lambda: self.store.release(call.id, cause), lease_ends)
            failed = result.error
            if cause is not None:
                failed = possibly_billed(failed, call.bound)
            return CallOutcome(account, error=failed)
        if result.status != 200:
            result = replace(result, body=self.scrub(result.body.decode()).encode())
        if result.tail:
            result = replace(result, body=relay.compressed(result.tail))
        outcome = await self._settle(call, request, result, lease_ends)
        if result.tail and outcome.error is None and not (claim and claim.is_superseded):
            relay.add(result.tail)
            relay.is_complete = True
        return outcome

    async def _settle(
        self, call: NewCall, request: ChatRequest, billed: BilledAnswer, lease_ends: float
    ) -> CallOutcome:
        fingerprint = request.price.fingerprint
        settlement = Settlement(
            call_id=call.id,
            prompt_tokens=billed.prompt_tokens,
            completion_tokens=billed.completion_tokens,
            amount=billed.amount,
            estimated=billed.estimated,
            overrun=billed.overrun,
            status=billed.status,
            response=billed.body,
            price_fingerprint=fingerprint,
            cached_tokens=billed.usage.cached_tokens,
            cache_write_tokens=billed.usage.cache_write_tokens,
            reasoning_tokens=billed.usage.reasoning_tokens,
            saved=billed.saved,
            price_source=billed.price_source,
            scope=call.place.scope if call.place else None,
        )
        settled = await _written(lambda: self.store.settle(settlement), lease_ends)
        if settled is None:
            message = "The call took longer than its lease (GATEWAY_LEASE_SECONDS); try it again"
            late = unavailable(message, "lease_expired")
            return CallOutcome(None, error=possibly_billed(late, call.bound))
        if billed.overrun:
            entry = (call.model, fingerprint)
            self.overruns[entry] = self.overruns.get(entry, 0) + billed.overrun
            log.error("overrun model=%s usd=%s", call.model, usd_text(billed.overrun))
        if settlement.scope is not None:
            self.claims.saw(call.account_id, settlement.scope, settled.newest_attempt)
            self.scope_watch.charged(call.account_id, settlement.scope)
        return CallOutcome(settled.account, billed.status, billed.body, billed=billed)

    def _overrun_error(self, request: ChatRequest) -> ApiError | None:
        """An error if a call of this model has cost more than its price entry allows for."""
        overrun = self.overruns.get((request.model, request.price.fingerprint))
        return model_refused(request.model, overrun) if overrun else None

    async def wait_until_settled(self, account_id: str, wait_seconds: float) -> Account | None:
        """The account as soon as it has no reservation left, or after `wait_seconds`."""
        deadline = asyncio.get_running_loop().time() + wait_seconds
        while True:
            account = await self.store.account(account_id)
            left = deadline - asyncio.get_running_loop().time()
            if account is None or not account.reserved or left <= 0:
                return account
            if tasks := self._by_account.get(account_id):
                await asyncio.wait(tasks, timeout=left)
            else:  # another process makes the call
                await asyncio.sleep(min(left, 0.1))

    async def drain(self, seconds: float) -> None:
        """Lets calls in flight finish for `seconds`, then cancels and releases the others."""
        tasks = {task for tasks in self._by_account.values() for task in tasks}
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


async def _written(write: Callable[[], Awaitable[T]], lease_ends: float) -> T:
    """Retries while the database cannot be written (it is busy, or its disk is full), until shortly
    before the lease ends (by `time.monotonic`): the upstream has been called already."""
    pauses = chain(SETTLE_PAUSES, repeat(LONGEST_SETTLE_PAUSE))
    while True:
        try:
            return await write()
        except StoreError as error:
            pause = next(pauses)
            if pause == LONGEST_SETTLE_PAUSE and time.monotonic() + pause >= lease_ends:
                raise
            log.error("the end of a call was not written, again in %g s: %s", pause, error)
        await asyncio.sleep(pause)


async def _join(in_flight: CallInFlight) -> CallOutcome:
    """The outcome of a call that another request makes."""
    outcome = await asyncio.shield(in_flight.task)
    if outcome.error is not None:
        return outcome
    return CallOutcome(outcome.account, outcome.status, outcome.body, replayed=True)
