"""The client of tools' charges, against the real gateway."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal

import pytest
from pydantic import SecretStr

from activities.error_translation import error_type
from durable_agent_team.atxp.account_api import AtxpAccounts
from durable_agent_team.atxp.exceptions import ProtocolBroken, ProviderRefused, Unreachable
from durable_agent_team.atxp.httpx_client import HttpxClient
from durable_agent_team.atxp.provider import OpenedAccount
from durable_agent_team.atxp.tool_charges import ToolCharges
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.ledger import Charge
from tests.support.gateway import running_gateway
from tests.support.upstream import ScriptedUpstream

PRICE = Decimal("0.25")


@dataclass
class Paying:
    accounts: AtxpAccounts
    charges: ToolCharges
    account: OpenedAccount
    upstream: str

    @property
    def key(self) -> SecretStr:
        return self.account.api_key


@pytest.fixture
async def paying() -> AsyncIterator[Paying]:
    async with (
        ScriptedUpstream([]) as upstream,
        running_gateway(upstream.url) as gateway,
        HttpxClient() as http,
    ):
        accounts = AtxpAccounts(http, gateway.base_url, SecretStr(gateway.parent_key))
        account = await accounts.open("clerk", Decimal(1), "open")
        yield Paying(accounts, ToolCharges(http, gateway.base_url), account, upstream.url)


async def test_a_charge_is_reserved_settled_and_read_back_with_the_ledger(paying: Paying) -> None:
    assert paying.account.capabilities.charges
    reserved = await paying.charges.reserve(paying.key, "c:3.1", PRICE, "refund")
    assert (reserved.key, reserved.amount_usd, reserved.is_settled) == ("c:3.1", PRICE, False)
    assert (await paying.accounts.read(paying.account.account_id)).reserved_usd == PRICE
    assert (await paying.charges.settle(paying.key, "c:3.1")).is_settled
    assert (await paying.charges.reserve(paying.key, "c:3.1", PRICE, "refund")).is_settled
    [line] = await paying.accounts.charges(paying.account.account_id)
    assert line == Charge(idempotency_key="c:3.1", amount_usd=PRICE, kind="tool", what="refund")


async def test_what_closing_has_settled_is_not_released(paying: Paying) -> None:
    for key in ("one", "two"):
        await paying.charges.reserve(paying.key, key, PRICE, "refund")
    assert (await paying.charges.release(paying.key, "one")).state == "released"
    closed = await paying.accounts.close(paying.account.account_id, 5)
    assert (closed.spent_usd, closed.reserved_usd) == (PRICE, Decimal(0))
    assert (await paying.charges.release(paying.key, "two")).is_settled


@pytest.mark.parametrize(
    ("amount", "kind"),
    [(Decimal("0.8"), ErrorType.BUDGET_RESERVED), (Decimal("1.1"), ErrorType.BUDGET_EXHAUSTED)],
)
async def test_a_charge_that_does_not_fit_is_the_error_of_a_call_that_does_not_fit(
    paying: Paying, amount: Decimal, kind: ErrorType
) -> None:
    await paying.charges.reserve(paying.key, "open", PRICE, "refund")
    with pytest.raises(ProviderRefused) as caught:
        await paying.charges.reserve(paying.key, "more", amount, "refund")
    assert error_type(caught.value) is kind
    assert caught.value.amounts["required_usd"] == amount


async def test_a_provider_without_charges_is_named_with_what_to_do(paying: Paying) -> None:
    async with HttpxClient() as http:
        elsewhere = ToolCharges(http, f"{paying.upstream}/elsewhere")
        with pytest.raises(ProtocolBroken, match="price_usd"):
            await elsewhere.reserve(paying.key, "k", PRICE, "refund")
        with pytest.raises(Unreachable) as caught:
            await ToolCharges(http, "http://127.0.0.1:9/v1").settle(paying.key, "k")
    assert paying.key.get_secret_value() not in str(caught.value)
