"""A store that also counts reservations, charges and releases. Used only while metrics are on."""

from durable_agent_team.gateway.instruments import Instruments
from durable_agent_team.gateway.request_labels import metric_labels
from durable_agent_team.gateway.stores.account_records import Account
from durable_agent_team.gateway.stores.effect_store import EffectStore
from durable_agent_team.gateway.stores.metered_tool_charges import MeteredToolCharges
from durable_agent_team.gateway.stores.scope_records import EndedRequest, ScopeState
from durable_agent_team.gateway.stores.store import (
    BeginResult,
    InterruptionCause,
    LedgerLine,
    NewAccount,
    NewCall,
    PossiblyBilledCall,
    Reserved,
    Settled,
    Settlement,
    Store,
    StoreRefusal,
)
from durable_agent_team.gateway.stores.tool_charge_store import ToolChargeStore


class MeteredStore:
    """Wraps a store. A charge is counted once, when its ledger line was written, even if the
    client has disconnected by then."""

    def __init__(self, store: Store, instruments: Instruments) -> None:
        self._store = store
        self._instruments = instruments
        self._in_flight: dict[str, tuple[int, dict[str, str]]] = {}
        self._tool_charges = MeteredToolCharges(store.tool_charges, instruments)

    async def begin(self, call: NewCall) -> BeginResult:
        begun = await self._store.begin(call)
        if isinstance(begun, Reserved):
            attributes = {**metric_labels(), "gen_ai.request.model": call.model}
            self._in_flight[call.id] = (call.bound, attributes)
            self._instruments.reservations.add(1, attributes)
            self._instruments.reserved.add(call.bound, attributes)
        return begun

    async def settle(self, settlement: Settlement) -> Settled | None:
        settled = await self._store.settle(settlement)
        attributes = self._end_reservation(settlement.call_id)
        if settled is None or attributes is None:
            return settled
        self._instruments.spend.add(settlement.amount, attributes)
        if settlement.overrun:
            self._instruments.overrun.add(settlement.overrun, attributes)
        for kind, tokens in (
            ("input", settlement.prompt_tokens),
            ("output", settlement.completion_tokens),
        ):
            self._instruments.tokens.add(tokens, {**attributes, "gen_ai.token.type": kind})
        self._count_parts(settlement, attributes)
        return settled

    def _count_parts(self, settlement: Settlement, attributes: dict[str, str]) -> None:
        for kind, tokens in (
            ("cached", settlement.cached_tokens),
            ("cache_write", settlement.cache_write_tokens),
            ("reasoning", settlement.reasoning_tokens),
        ):
            if tokens:
                of_kind = {**attributes, "gateway.token_kind": kind}
                self._instruments.token_parts.add(tokens, of_kind)
        if settlement.saved:
            self._instruments.saved.add(settlement.saved, attributes)

    async def release(self, call_id: str, cause: InterruptionCause | None) -> Account | None:
        account = await self._store.release(call_id, cause)
        attributes = self._end_reservation(call_id)
        if attributes is not None:
            label = str(cause) if cause else "not_billed"
            self._instruments.released.add(1, {**attributes, "gateway.cause": label})
        return account

    def _end_reservation(self, call_id: str) -> dict[str, str] | None:
        """The labels under which this process counted the reservation; None if it did not."""
        reserved = self._in_flight.pop(call_id, None)
        if reserved is None:
            return None
        bound, attributes = reserved
        self._instruments.reserved.add(-bound, attributes)
        return attributes

    @property
    def tool_charges(self) -> ToolChargeStore:
        return self._tool_charges

    # Everything below is passed on unchanged.

    @property
    def effects(self) -> EffectStore:
        return self._store.effects

    async def open_account(self, new: NewAccount) -> tuple[Account, bool] | StoreRefusal:
        return await self._store.open_account(new)

    async def find_account(self, key_hash: str) -> Account | None:
        return await self._store.find_account(key_hash)

    async def account(self, account_id: str) -> Account | None:
        return await self._store.account(account_id)

    async def interrupted(self, account_id: str) -> dict[str, int]:
        return await self._store.interrupted(account_id)

    async def possibly_billed(
        self,
        account_id: str,
        after: int,
        limit: int,
        idempotency_key: str | None,
        scope: str | None = None,
    ) -> list[PossiblyBilledCall]:
        return await self._store.possibly_billed(account_id, after, limit, idempotency_key, scope)

    async def change_account(
        self, account_id: str, budget: int | None, status: str | None, revision: int | None = None
    ) -> Account | StoreRefusal:
        return await self._store.change_account(account_id, budget, status, revision)

    async def transfer(
        self, from_id: str, to_id: str, amount: int, key: str | None
    ) -> tuple[Account, Account] | StoreRefusal:
        return await self._store.transfer(from_id, to_id, amount, key)

    async def ledger_lines(
        self,
        account_id: str,
        after: int,
        limit: int,
        idempotency_key: str | None,
        scope: str | None = None,
        kind: str | None = None,
    ) -> list[LedgerLine]:
        return await self._store.ledger_lines(
            account_id, after, limit, idempotency_key, scope, kind
        )

    async def end_request(self, ended: EndedRequest) -> None:
        await self._store.end_request(ended)

    async def enter_scope(self, account_id: str, scope: str, attempt: int) -> int:
        return await self._store.enter_scope(account_id, scope, attempt)

    async def scope_state(self, account_id: str, scope: str) -> ScopeState:
        return await self._store.scope_state(account_id, scope)

    async def release_abandoned(self) -> int:
        return await self._store.release_abandoned()

    async def overruns(self) -> dict[tuple[str, str], int]:
        return await self._store.overruns()

    async def not_ready(self) -> str | None:
        return await self._store.not_ready()

    async def close(self) -> None:
        await self._store.close()
