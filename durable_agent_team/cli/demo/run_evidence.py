"""The evidence that the demo checks a run against: its history and the gateway's ledger.

It is independent of the run and its worker: the accounts are found in Temporal's history, and their
charges are read from the gateway over HTTP, with the parent key of the local stack.
"""

from dataclasses import dataclass
from decimal import Decimal

from pydantic import SecretStr
from temporalio.client import Client

from durable_agent_team.cli.provider_accounts import ledgers_of
from durable_agent_team.client.recorded_calls import RecordedCall
from durable_agent_team.client.run_history import read_record
from durable_agent_team.contracts.ledger import Ledger


@dataclass(frozen=True)
class Evidence:
    """The ledgers and calls of a run."""

    accounts: tuple[Ledger, ...]
    calls: tuple[RecordedCall, ...]

    @property
    def ledger_usd(self) -> Decimal:
        return sum((account.charged_usd for account in self.accounts), Decimal(0))

    @property
    def charged_keys(self) -> list[str | None]:
        return [line.idempotency_key for account in self.accounts for line in account.charges]

    def account(self, agent: str) -> Ledger:
        return next(account for account in self.accounts if account.agent == agent)

    def of_task(self, task: str) -> list[RecordedCall]:
        return [call for call in self.calls if call.request.task == task]


async def gather_evidence(client: Client, run_id: str, api_url: str, parent_key: str) -> Evidence:
    """Reads a run's history, and the ledger of each account that it opened.

    Raises a `RunError` or `ProviderFailed`.
    """
    record = await read_record(client, run_id)
    ledgers = await ledgers_of(record.accounts, api_url, SecretStr(parent_key))
    return Evidence(tuple(ledgers), record.calls)
