"""A run's accounts at their provider, read and closed with the parent key."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

from pydantic import SecretStr

from durable_agent_team.atxp.account_api import AtxpAccounts
from durable_agent_team.atxp.exceptions import AtxpError, NoAnswer, ProviderRefused
from durable_agent_team.atxp.httpx_client import HttpxClient
from durable_agent_team.atxp.provider import AccountProvider, AccountState, ledger_of
from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.output import print_note
from durable_agent_team.cli.ui.charge_lines import AccountLine, Reconciled, charge_lines
from durable_agent_team.client.run_history import RunRecord
from durable_agent_team.contracts.call import AccountRef
from durable_agent_team.contracts.ledger import Ledger, PossiblyBilledCall
from durable_agent_team.process.operator_settings import OperatorSettings, operator_settings
from durable_agent_team.process.settings import SettingsError

AT_ONCE = 10
WAIT_SECONDS = 10
"""How long a disabled account may take to finish its calls in flight."""


class ProviderFailed(Exception):
    """The provider did not answer, or not as documented. The text says what to do."""


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
        print_note(
            "note: ATXP_API_KEY is not set, so the provider's ledger was not read, nor what may"
            " have been billed"
        )
        return None
    try:
        return await ledgers_of(record.accounts, settings.atxp_api_url, settings.atxp_api_key)
    except ProviderFailed as error:
        print_note(f"note: the provider's ledger was not read: {error}")
        return None


async def close_accounts(settings: OperatorSettings, record: RunRecord) -> Reconciled:
    """Disables a run's accounts, and returns what each has spent. Raises `CommandError`."""
    assert settings.atxp_api_key is not None
    readable = record.capabilities.ledger
    wait_seconds = WAIT_SECONDS if readable else None
    try:
        async with _provider(settings.atxp_api_url, settings.atxp_api_key) as provider:
            gate = asyncio.Semaphore(AT_ONCE)

            async def close(account: AccountRef) -> AccountState:
                async with gate:
                    return await provider.close(account.account_id, wait_seconds)

            states = await asyncio.gather(*map(close, record.accounts))
            ledgers = await _read_all(provider, record.accounts) if readable else None
    except ProviderFailed as error:
        raise CommandError(ExitCode.NO_ANSWER, str(error)) from error
    by_account: list[Ledger | None] = [*ledgers] if ledgers else [None] * len(states)
    accounts = [
        AccountLine(
            agent=ref.agent, account_id=ref.account_id, status=state.status,
            budget_usd=ledger.budget_usd if ledger else None,
            spent_usd=ledger.spent_usd if ledger else None,
            reserved_usd=ledger.reserved_usd if ledger else None,
            possibly_billed_calls=ledger.possibly_billed_calls if ledger else 0,
            possibly_billed_usd=ledger.possibly_billed_usd if ledger else Decimal(0),
        )
        for ref, state, ledger in zip(record.accounts, states, by_account, strict=True)
    ]  # fmt: skip
    spent = sum((ledger.spent_usd for ledger in ledgers), Decimal(0)) if ledgers else None
    return Reconciled(
        workflow_id=record.id,
        accounts=tuple(accounts),
        charges=charge_lines(record, ledgers),
        ledger_usd=spent,
    )


async def ledgers_of(
    accounts: Sequence[AccountRef], api_url: str, parent_key: SecretStr
) -> list[Ledger]:
    """Each account with all its charges, oldest first. Raises `ProviderFailed`."""
    async with _provider(api_url, parent_key) as provider:
        return await _read_all(provider, accounts)


async def _read_all(provider: AccountProvider, accounts: Sequence[AccountRef]) -> list[Ledger]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def read(account: AccountRef) -> Ledger:
        async with gate:
            state = await provider.read(account.account_id)
            charges = await provider.charges(account.account_id)
            given_up: tuple[PossiblyBilledCall, ...] = ()
            if state.possibly_billed_calls:
                given_up = await provider.possibly_billed(account.account_id)
        spent_usd = sum((charge.amount_usd for charge in charges), Decimal(0))
        ledger = ledger_of(account, state, spent_usd)
        return ledger.model_copy(update={"charges": charges, "possibly_billed": given_up})

    return list(await asyncio.gather(*map(read, accounts)))


@asynccontextmanager
async def _provider(api_url: str, parent_key: SecretStr) -> AsyncIterator[AccountProvider]:
    """The worker's client of the account API, its errors as `ProviderFailed`."""
    try:
        async with HttpxClient() as http:
            yield AtxpAccounts(http, api_url, parent_key)
    except NoAnswer as error:
        raise ProviderFailed(
            f"{error.url} does not answer ({error.reason}): see that it is up, or correct"
            " ATXP_API_URL"
        ) from error
    except ProviderRefused as error:
        remedy = "check ATXP_API_URL, and whether this provider knows the account"
        if error.status in (401, 403):
            remedy = "check ATXP_API_KEY"
        raise ProviderFailed(f"{error} ({remedy})") from error
    except AtxpError as error:
        raise ProviderFailed(str(error)) from error
