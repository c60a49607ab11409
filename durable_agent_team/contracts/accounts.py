"""What activities open, change and close accounts with, and what their provider guarantees."""

from pydantic import Field

from durable_agent_team.contracts.base import Message, Usd
from durable_agent_team.contracts.call import AccountRef
from durable_agent_team.contracts.ledger import Ledger
from durable_agent_team.contracts.team import Identifier


class Capabilities(Message):
    """The guarantees that an account provider declares."""

    hard_limit: bool = True
    """Refuses a call that could overspend, under any concurrency."""
    replay: bool = False
    """Stores billed answers by idempotency key, so that a retry is not billed again."""
    ledger: bool = False
    """Shows every charge, so that our sums can be checked."""
    transfer: bool = False
    """Moves money between two accounts in one step."""
    charges: bool = False
    """Charges an account for calls of tools: reserved before, settled after."""


class AccountBudget(Message):
    """An account to be opened for one agent."""

    agent: Identifier
    budget_usd: Usd


class OpenAccounts(Message):
    """Idempotent by `run_key` (workflow id and first execution) and agent."""

    run_key: str = Field(max_length=1_100)
    accounts: tuple[AccountBudget, ...] = Field(min_length=1, max_length=1_001)


class OpenedAccounts(Message):
    accounts: tuple[AccountRef, ...]
    capabilities: Capabilities


class SetBudget(Message):
    account: AccountRef
    budget_usd: Usd


class BudgetTransfer(Message):
    """Idempotent by its key."""

    idempotency_key: str = Field(max_length=100)
    source: AccountRef
    target: AccountRef
    amount_usd: Usd


class CloseAccounts(Message):
    """`known` is what the run knows it spent, by agent: where the provider disagrees, the
    answer carries that account's charges line by line."""

    accounts: tuple[AccountRef, ...]
    known: dict[Identifier, Usd]
    capabilities: Capabilities


class ClosedAccounts(Message):
    ledgers: tuple[Ledger, ...]
