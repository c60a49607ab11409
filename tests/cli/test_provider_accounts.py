"""`charges` and `reconcile` read what the worker reads, and explain what a provider refuses."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.provider_accounts import close_accounts
from durable_agent_team.cli.provider_catalog import CatalogUnavailable, read_provider
from durable_agent_team.client.run_history import RunRecord
from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.call import AccountRef
from durable_agent_team.process.operator_settings import OperatorSettings
from durable_agent_team.process.settings import made_of
from tests.support.serving import listening

ACCOUNT = {"status": "disabled", "budget": "1.00", "spent": 0.25, "reserved": 0}
CHARGE = {"id": "1", "idempotency_key": "k", "amount": "0.2500001"}
PUBLISHED = {"transactions": [CHARGE]}
"""A ledger as ATXP's published API has it. The worker reads it, and so must `reconcile`."""

RECORD = RunRecord(
    id="run",
    request=None,
    accounts=(AccountRef(agent="a", account_id="agt_1", sealed_key="s"),),
    capabilities=Capabilities(ledger=True),
    calls=(),
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    ended_at=datetime(2026, 1, 1, tzinfo=UTC),
)


class Provider:
    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.transactions: Mapping[str, Any] = PUBLISHED

    async def account(self, request: web.Request) -> web.Response:
        return web.json_response(ACCOUNT, status=self.status)

    async def ledger(self, request: web.Request) -> web.Response:
        return web.json_response(self.transactions)

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}]})


@pytest_asyncio.fixture(loop_scope="session")
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    app = web.Application()
    app.router.add_route("*", "/agents/agt_1", provider.account)
    app.router.add_get("/agents/agt_1/transactions", provider.ledger)
    app.router.add_get("/models", provider.models)
    async with listening(app) as provider.url:
        yield provider


def settings(url: str) -> OperatorSettings:
    return made_of({"ATXP_API_URL": url, "ATXP_API_KEY": "parent"}, OperatorSettings)


@pytest.mark.parametrize("listed", ["transactions", "data"])
async def test_a_ledger_that_the_worker_reads_is_reconciled(
    provider: Provider, listed: str
) -> None:
    provider.transactions = {listed: [CHARGE]}
    found = await close_accounts(settings(provider.url), RECORD)
    (account,) = found.accounts
    assert (account.status, account.budget_usd, account.spent_usd) == (
        "disabled",
        Decimal(1),
        Decimal("0.25"),
    )
    assert [line.ledger_usd for line in found.charges] == [Decimal("0.250001")], "rounded up"


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(401, "check ATXP_API_KEY"), (404, "check ATXP_API_URL, and whether this provider knows")],
)
async def test_a_refusal_ends_with_3_and_a_remedy(
    provider: Provider, status: int, remedy: str
) -> None:
    provider.status = status
    with pytest.raises(CommandError) as ended:
        await close_accounts(settings(provider.url), RECORD)
    assert ended.value.code == ExitCode.NO_ANSWER
    assert f"PATCH /agents/agt_1 answered {status}" in str(ended.value)
    assert remedy in str(ended.value)


async def test_a_ledger_of_another_shape_ends_with_3(provider: Provider) -> None:
    provider.transactions = {"data": "none"}
    with pytest.raises(CommandError, match="ledger of account agt_1") as ended:
        await close_accounts(settings(provider.url), RECORD)
    assert ended.value.code == ExitCode.NO_ANSWER


async def test_a_provider_that_does_not_answer_is_named_with_the_reason() -> None:
    with pytest.raises(CommandError) as ended:
        await close_accounts(settings("http://127.0.0.1:9/v1"), RECORD)
    assert ended.value.code == ExitCode.NO_ANSWER
    assert str(ended.value) == (
        "http://127.0.0.1:9/v1/agents/agt_1 does not answer (Connection refused): see that it is"
        " up, or correct ATXP_API_URL"
    )


async def test_models_of_this_machine_are_read_without_a_proxy(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    found = await asyncio.to_thread(read_provider, provider.url, None)
    assert [each.model for each in found.catalog.models] == ["m"]
    with pytest.raises(CatalogUnavailable, match="does not answer"):
        await asyncio.to_thread(read_provider, "http://provider.invalid", None)
