"""Scripted programs for tests of the workflow, with the scopes of a gateway in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from durable_agent_team.contracts.activity_interfaces import ProgramActivities
from durable_agent_team.contracts.call import AccountRef, AttemptSpend, CallRequest, CallResult
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.ledger import Charge, Ledger
from durable_agent_team.contracts.program import (
    SPEND_SIGNAL,
    EnvironmentOrder,
    EnvironmentReady,
    ProgramCall,
    ProgramSpend,
    scope_attempt,
)
from tests.support.fakes import COST, FakeAccount, FakeWorld, Rule


@dataclass
class FakeScope:
    """What has been paid under a scope: each answer by its prompt."""

    paid: dict[str, Decimal] = field(default_factory=dict)
    newest: int = 0

    @property
    def spent(self) -> Decimal:
        return sum(self.paid.values(), Decimal(0))


@dataclass
class Running:
    """One execution of a program, as its script sees it."""

    world: "ProgramWorld"
    order: ProgramCall
    attempt: int

    async def model(self, prompt: str) -> str:
        """A call of a model through the gateway: replayed where it is paid already."""
        scope = self.world.scopes[self.order.scope]
        if self.attempt < scope.newest:
            raise RuntimeError("attempt_superseded")
        self.world.asked.append(prompt)
        await asyncio.sleep(0)
        if prompt not in scope.paid:
            book = self.world.books[self.order.call.account.agent]
            if book.spent + self.world.scoped_usd(book) + COST > book.budget:
                raise self.error(ErrorType.BUDGET_EXHAUSTED, "exhausted", final=True)
            scope.paid[prompt] = COST
            if self.order.signal_seconds is not None:
                await self.signal(scope.spent)
        return f"answer to {prompt}"

    async def signal(self, spent_usd: Decimal) -> None:
        """Tells the run what the scope has cost, as the activity does."""
        info = activity.info()
        assert info.workflow_id is not None
        handle = activity.client().get_workflow_handle(
            info.workflow_id, run_id=info.workflow_run_id
        )
        spend = ProgramSpend(scope=self.order.scope, spent_usd=spent_usd)
        await handle.signal(SPEND_SIGNAL, spend)

    def error(
        self, kind: ErrorType, message: str, *, final: bool = False, **details: Any
    ) -> ApplicationError:
        """As the activity raises it: with what this execution has cost."""
        spent = self.world.scopes[self.order.scope].spent - self.order.known_spent_usd
        amounts: dict[str, Any] = {}
        if kind is ErrorType.BUDGET_EXHAUSTED:
            book = self.world.books[self.order.call.account.agent]
            left = book.budget - self.world.scoped_usd(book)
            amounts = {"required_usd": COST, "remaining_usd": max(left, Decimal(0))}
        spend = AttemptSpend(
            spent_usd=spent, attempts=activity.info().attempt, **amounts, **details
        )
        return ApplicationError(message, spend, type=kind.value, non_retryable=final)


Script = Callable[[Running], Awaitable[str | CallResult]]


async def two_calls(running: Running) -> str:
    """The program of most tests: the second call depends on the first."""
    first = await running.model("first")
    return await running.model(f"second after {first}")


class ProgramWorld(FakeWorld, ProgramActivities):
    """A `FakeWorld` whose agents with `run` are scripts. Without `signals` the runs are as those of
    earlier versions, which read the ledger while a program runs."""

    def __init__(
        self, script: Script = two_calls, rule: Rule | None = None, *, signals: bool = True
    ) -> None:
        super().__init__(rule)
        self.catalog = self.catalog.model_copy(update={"spend_signals": signals})
        self.script = script
        self.scopes: dict[str, FakeScope] = {}
        self.of_agent: dict[str, str] = {}
        self.orders: list[ProgramCall] = []
        self.environments: list[EnvironmentOrder] = []
        self.asked: list[str] = []
        self.killed = 0

    @property
    def activities(self) -> list[Any]:
        return [*super().activities, self.run_program, self.prepare_environment]

    @property
    def paid(self) -> list[str]:
        """Every prompt that was paid, in all scopes."""
        return sorted(prompt for scope in self.scopes.values() for prompt in scope.paid)

    def scoped_usd(self, book: FakeAccount) -> Decimal:
        agent = next(name for name, each in self.books.items() if each is book)
        mine = (scope for scope in self.scopes if self.of_agent[scope] == agent)
        return sum((self.scopes[each].spent for each in mine), Decimal(0))

    @activity.defn
    async def prepare_environment(self, order: EnvironmentOrder) -> EnvironmentReady:
        self.environments.append(order)
        return await self.prepared(order)

    async def prepared(self, order: EnvironmentOrder) -> EnvironmentReady:
        return EnvironmentReady(python="/python", made=True)

    @activity.defn
    async def run_program(self, call: ProgramCall) -> CallResult:
        self.orders.append(call)
        attempt = scope_attempt(call.execution, activity.info().attempt)
        scope = self.scopes.setdefault(call.scope, FakeScope())
        self.of_agent[call.scope] = call.call.account.agent
        assert attempt > scope.newest, "an attempt of a scope that is not newer"
        scope.newest = attempt
        running = Running(self, call, attempt)
        beating = asyncio.create_task(_beat())
        try:
            answer = await self.script(running)
        except asyncio.CancelledError:
            self.killed += 1
            raise
        finally:
            beating.cancel()
        cost = scope.spent - call.known_spent_usd
        if isinstance(answer, CallResult):
            return answer.model_copy(update={"cost_usd": cost})
        return self.program_answer(answer, cost)

    def program_answer(
        self, text: str, cost: Decimal = Decimal(0), reasons: tuple[str, ...] = ()
    ) -> CallResult:
        given = {"reasons": reasons} if reasons else {}
        return CallResult(
            answer=text, cost_usd=cost, started_at=datetime.now(UTC), seconds=0.5, **given
        )

    def _ledger(self, account: AccountRef) -> Ledger:
        ledger = super()._ledger(account)
        lines = [
            Charge(
                idempotency_key=f"scope:{scope}:{number}",
                amount_usd=amount,
                scope=scope,
                attempt=1001,
            )
            for scope, agent in self.of_agent.items()
            if agent == account.agent
            for number, amount in enumerate(self.scopes[scope].paid.values())
        ]
        spent = ledger.spent_usd + sum((line.amount_usd for line in lines), Decimal(0))
        return ledger.model_copy(update={"charges": (*ledger.charges, *lines), "spent_usd": spent})


def answers(text: str) -> Callable[[CallRequest], str]:
    return lambda _: text


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.2)
