"""Fake activities with a ledger in memory, behind the typed interfaces: tests of the workflow."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.accounts import (
    BudgetTransfer,
    Capabilities,
    CloseAccounts,
    ClosedAccounts,
    OpenAccounts,
    OpenedAccounts,
    SetBudget,
)
from durable_agent_team.contracts.activity_interfaces import (
    AccountActivities,
    AgentActivities,
    NotificationActivities,
)
from durable_agent_team.contracts.call import AccountRef, CallRequest, CallResult, Purpose, Usage
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.ledger import Charge, Ledger
from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice, ReadModels
from durable_agent_team.contracts.notification import Notification
from durable_agent_team.contracts.output_check import OutputCheck, OutputVerdict
from durable_agent_team.contracts.output_schema import schema_problem

COST = Decimal("0.01")
Rule = Callable[[CallRequest], Awaitable[CallResult | None] | CallResult | None]


@dataclass
class FakeAccount:
    """A budget, the charges by idempotency key, and the status."""

    budget: Decimal
    charges: dict[str, Decimal] = field(default_factory=dict)
    status: str = "active"

    @property
    def spent(self) -> Decimal:
        return sum(self.charges.values(), Decimal(0))


class FakeWorld(AccountActivities, AgentActivities, NotificationActivities):
    """Answers every call for 0.01 USD, unless `rule` answers or raises otherwise."""

    def __init__(self, rule: Rule | None = None, context: int | None = None) -> None:
        self.rule = rule
        self.books: dict[str, FakeAccount] = {}
        self.calls: list[CallRequest] = []
        self.notifications: list[Notification] = []
        self.active = 0
        self.most_active = 0
        self.capabilities = Capabilities(replay=True, ledger=True, transfer=True)
        price = ModelPrice(
            model="m", input_usd=Decimal(1), output_usd=Decimal(1), context_tokens=context
        )
        self.catalog = ModelCatalog(
            models=(price,),
            default_model="m",
            priced=True,
            accounts_locally=True,
            no_idle_share=True,
        )

    @property
    def activities(self) -> list[Any]:
        return [
            self.read_models,
            self.open_accounts,
            self.set_budget,
            self.transfer,
            self.read_ledgers,
            self.close_accounts,
            self.call_agent,
            self.check_output,
            self.notify,
        ]

    @activity.defn
    async def read_models(self, wanted: ReadModels) -> ModelCatalog:
        return await self.wanted(wanted)

    async def wanted(self, order: ReadModels) -> ModelCatalog:
        return self.catalog

    @activity.defn
    async def open_accounts(self, request: OpenAccounts) -> OpenedAccounts:
        for each in request.accounts:
            self.books.setdefault(each.agent, FakeAccount(each.budget_usd))
        return OpenedAccounts(
            accounts=tuple(
                AccountRef(agent=each.agent, account_id=each.agent, sealed_key="sealed")
                for each in request.accounts
            ),
            capabilities=self.capabilities,
        )

    @activity.defn
    async def set_budget(self, request: SetBudget) -> Ledger:
        book = self.books[request.account.agent]
        if request.budget_usd < book.spent:
            raise ApplicationError(
                "below what is spent", type=ErrorType.LIMIT_REFUSED, non_retryable=True
            )
        book.budget = request.budget_usd
        return self._ledger(request.account)

    @activity.defn
    async def transfer(self, request: BudgetTransfer) -> ClosedAccounts:
        source, target = self.books[request.source.agent], self.books[request.target.agent]
        source.budget -= request.amount_usd
        target.budget += request.amount_usd
        return ClosedAccounts(ledgers=(self._ledger(request.source), self._ledger(request.target)))

    @activity.defn
    async def notify(self, notification: Notification) -> None:
        self.notifications.append(notification)

    @activity.defn
    async def read_ledgers(self, request: CloseAccounts) -> ClosedAccounts:
        return ClosedAccounts(ledgers=tuple(self._ledger(each) for each in request.accounts))

    @activity.defn
    async def close_accounts(self, request: CloseAccounts) -> ClosedAccounts:
        for each in request.accounts:
            self.books[each.agent].status = "disabled"
        return ClosedAccounts(ledgers=tuple(self._ledger(each) for each in request.accounts))

    @activity.defn
    async def check_output(self, check: OutputCheck) -> OutputVerdict:
        found = {name: schema_problem(output) for name, output in check.outputs.items()}
        problems = {name: each for name, each in found.items() if each is not None}
        return OutputVerdict(problem=schema_problem(check.output), problems=problems)

    @activity.defn
    async def call_agent(self, call: CallRequest) -> CallResult:
        self.calls.append(call)
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        beating = asyncio.create_task(_heartbeat())
        try:
            answered = self.rule(call) if self.rule else None
            if asyncio.iscoroutine(answered):
                answered = await answered
            result = answered if isinstance(answered, CallResult) else self.answer(call)
        finally:
            beating.cancel()
            self.active -= 1
        self.book(call, result.cost_usd)
        return result

    def book(self, call: CallRequest, cost: Decimal = COST) -> None:
        book = self.books[call.account.agent]
        if book.spent + cost > book.budget:
            raise exhausted(cost, book.budget - book.spent)
        book.charges[call.idempotency_key] = cost

    def answer(
        self, call: CallRequest, text: str | None = None, reasons: tuple[str, ...] = ()
    ) -> CallResult:
        return CallResult(
            answer=text if text is not None else f"answer of {call.task}",
            reasons=reasons,
            cost_usd=COST,
            usage=Usage(prompt_tokens=10, completion_tokens=5),
            started_at=datetime.now(UTC),
            seconds=0.5,
        )

    def of(self, purpose: Purpose) -> list[CallRequest]:
        return [call for call in self.calls if call.purpose is purpose]

    def _ledger(self, account: AccountRef) -> Ledger:
        book = self.books[account.agent]
        return Ledger(
            agent=account.agent,
            account_id=account.account_id,
            status=book.status,
            budget_usd=book.budget,
            spent_usd=book.spent,
            charges=tuple(
                Charge(idempotency_key=key, amount_usd=amount)
                for key, amount in book.charges.items()
            ),
        )


async def _heartbeat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.3)


def exhausted(required: Decimal, remaining: Decimal) -> ApplicationError:
    return ApplicationError(
        f"needs {required} USD, {remaining} USD are left",
        {"attempts": 1, "required_usd": str(required), "remaining_usd": str(remaining)},
        type=ErrorType.BUDGET_EXHAUSTED,
        non_retryable=True,
    )
