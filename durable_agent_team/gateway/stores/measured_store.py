"""A store that counts what happens to money. Only there while metrics are on."""

from typing import Any, cast

from durable_agent_team.gateway.instruments import Instruments
from durable_agent_team.gateway.request_labels import metric_labels
from durable_agent_team.gateway.stores.store import (
    Account,
    Begun,
    Cause,
    NewCall,
    Reserved,
    Settlement,
    Store,
)


class MeasuredStore:
    """Counts at the one place that knows: a charge is counted when its ledger line was written,
    once, whatever became of the client. The rest is the store's own."""

    def __init__(self, store: Store, instruments: Instruments) -> None:
        self._store = store
        self._instruments = instruments
        self._open: dict[str, tuple[int, dict[str, str]]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def begin(self, call: NewCall) -> Begun:
        begun = await self._store.begin(call)
        if isinstance(begun, Reserved):
            attributes = {**metric_labels(), "gen_ai.request.model": call.model}
            self._open[call.id] = (call.bound, attributes)
            self._instruments.reservations.add(1, attributes)
            self._instruments.reserved.add(call.bound, attributes)
        return begun

    async def settle(self, settlement: Settlement) -> Account | None:
        account = await self._store.settle(settlement)
        attributes = self._closed(settlement.call_id)
        if account is None or attributes is None:
            return account
        self._instruments.spend.add(settlement.amount, attributes)
        if settlement.overrun:
            self._instruments.overrun.add(settlement.overrun, attributes)
        for kind, tokens in (
            ("input", settlement.prompt_tokens),
            ("output", settlement.completion_tokens),
        ):
            self._instruments.tokens.add(tokens, {**attributes, "gen_ai.token.type": kind})
        return account

    async def release(self, call_id: str, cause: Cause | None) -> Account | None:
        account = await self._store.release(call_id, cause)
        attributes = self._closed(call_id)
        if attributes is not None:
            why = str(cause) if cause else "not_billed"
            self._instruments.released.add(1, {**attributes, "gateway.cause": why})
        return account

    def _closed(self, call_id: str) -> dict[str, str] | None:
        held = self._open.pop(call_id, None)
        if held is None:
            return None
        bound, attributes = held
        self._instruments.reserved.add(-bound, attributes)
        return attributes


def measured(store: Store, instruments: Instruments) -> Store:
    return cast(Store, MeasuredStore(store, instruments))
