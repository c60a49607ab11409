"""A run's accounts at their provider, read and closed with the operator's key."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import httpx

from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.output import print_note
from durable_agent_team.cli.ui.charge_table import AccountLine, Reconciled, charge_lines
from durable_agent_team.client.operator_accounts import (
    AccountApi,
    OperatorSettings,
    ProviderSilent,
    operator_settings,
)
from durable_agent_team.client.run_history import RunRecord
from durable_agent_team.contracts.spend import Ledger
from durable_agent_team.process.settings import SettingsError


def read_operator_settings() -> OperatorSettings:
    """The provider's URL and the operator's key. Raises `CommandError` for an invalid one."""
    try:
        return operator_settings()
    except SettingsError as error:
        raise CommandError(ExitCode.INVALID_INPUT, f"settings:\n{error}") from error


async def read_ledgers(settings: OperatorSettings, record: RunRecord) -> list[Ledger] | None:
    """The ledgers of a run's accounts. None, with a note why, where they cannot be read."""
    if not record.capabilities.ledger:
        print_note("note: this provider shows no ledger; the amounts are the run's own")
        return None
    if settings.atxp_api_key is None:
        print_note("note: ATXP_API_KEY is not set, so the provider's ledger was not read")
        return None
    try:
        async with _account_api(settings) as api:
            return await api.ledgers(record.accounts)
    except ProviderSilent as error:
        print_note(f"note: the provider's ledger was not read: {error}")
        return None


async def close_accounts(settings: OperatorSettings, record: RunRecord) -> Reconciled:
    """Disables a run's accounts, and returns what each has spent. Raises `CommandError`."""
    readable = record.capabilities.ledger
    try:
        async with _account_api(settings) as api:
            statuses = await api.disable(record.accounts, wait=readable)
            ledgers = await api.ledgers(record.accounts) if readable else None
    except ProviderSilent as error:
        raise CommandError(ExitCode.NO_ANSWER, str(error)) from error
    by_account: list[Ledger | None] = [*ledgers] if ledgers else [None] * len(statuses)
    accounts = [
        AccountLine(
            agent=ref.agent, account_id=ref.account_id, status=status,
            budget_usd=ledger.budget_usd if ledger else None,
            spent_usd=ledger.spent_usd if ledger else None,
            reserved_usd=ledger.reserved_usd if ledger else None,
        )
        for ref, status, ledger in zip(record.accounts, statuses, by_account, strict=True)
    ]  # fmt: skip
    spent = sum((ledger.spent_usd for ledger in ledgers), Decimal(0)) if ledgers else None
    return Reconciled(
        workflow_id=record.id,
        accounts=tuple(accounts),
        charges=charge_lines(record, ledgers),
        ledger_usd=spent,
    )


@asynccontextmanager
async def _account_api(settings: OperatorSettings) -> AsyncIterator[AccountApi]:
    assert settings.atxp_api_key is not None
    async with httpx.AsyncClient(trust_env=False) as http:
        yield AccountApi(http, settings.atxp_api_url, settings.atxp_api_key)
