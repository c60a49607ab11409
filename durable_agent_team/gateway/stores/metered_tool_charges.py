"""A store of tools' charges that also counts what they cost. Used only while metrics are on."""

from durable_agent_team.gateway.instruments import Instruments
from durable_agent_team.gateway.request_labels import metric_labels
from durable_agent_team.gateway.stores.tool_charge_store import (
    ToolCharge,
    ToolChargeKey,
    ToolChargeReply,
    ToolChargeStore,
)

OPERATION = {"gen_ai.operation.name": "execute_tool"}


class MeteredToolCharges:
    """Counts a charge once, when its ledger line was written by a request. What closing an account
    settles is in the ledger only. `gateway.reserved_micro_usd` has no charges of tools, since they
    outlive a process."""

    def __init__(self, store: ToolChargeStore, instruments: Instruments) -> None:
        self._store = store
        self._instruments = instruments

    async def reserve(
        self, key: ToolChargeKey, charge: ToolCharge, revision: int | None = None
    ) -> ToolChargeReply:
        reply = await self._store.reserve(key, charge, revision)
        if reply.changed:
            self._instruments.reservations.add(1, _labels())
        return reply

    async def settle(self, key: ToolChargeKey) -> ToolChargeReply:
        reply = await self._store.settle(key)
        if reply.changed and reply.charge is not None:
            self._instruments.spend.add(reply.charge.amount, _labels())
        return reply

    async def release(self, key: ToolChargeKey, revision: int | None = None) -> ToolChargeReply:
        reply = await self._store.release(key, revision)
        if reply.changed:
            self._instruments.released.add(1, {**_labels(), "gateway.cause": "not_billed"})
        return reply

    async def read(self, key: ToolChargeKey) -> ToolCharge | None:
        return await self._store.read(key)


def _labels() -> dict[str, str]:
    return {**metric_labels(), **OPERATION}
