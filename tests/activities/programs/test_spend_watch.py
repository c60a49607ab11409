"""When a run is told what its program has cost: only what is new, and less and less often."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities.programs import spend_watch
from activities.programs.scope_account import ScopeState
from activities.programs.spend_watch import SpendWatch, pause
from durable_agent_team.atxp.exceptions import Unreachable
from durable_agent_team.contracts.program import ProgramSpend
from durable_agent_team.contracts.program_kinds import CommandRun
from tests.activities.programs.support import program_call

STEP = Decimal("0.01")


@dataclass
class Run:
    """Stands for Temporal's client and the handle of the run."""

    signals: list[ProgramSpend] = field(default_factory=list)
    fails: list[RPCStatusCode] = field(default_factory=list)

    def get_workflow_handle(self, workflow_id: str, *, run_id: str) -> "Run":
        return self

    async def signal(self, name: str, spend: ProgramSpend, **_: Any) -> None:
        assert name == "program_spend"
        if self.fails:
            raise RPCError("no", self.fails.pop(0), b"")
        self.signals.append(spend)


@dataclass
class Scope:
    """What the gateway says, look by look."""

    next: Callable[[int, Decimal], Decimal]
    looks: int = 0
    asked: list[float] = field(default_factory=list)

    async def read(self, known_usd: Decimal, seconds: float) -> ScopeState:
        self.looks += 1
        self.asked.append(seconds)
        if self.looks == 2:
            raise Unreachable("gone for a moment", "http://gateway", "refused")
        await asyncio.sleep(0)
        return ScopeState(spent_usd=self.next(self.looks, known_usd))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spend_watch, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(spend_watch, "EVERY_SECONDS", 0.001)


async def followed(scope: Scope, run: Run, looks: int, **given: Any) -> list[Decimal]:
    """What was signalled in so many looks."""
    environment = ActivityEnvironment(client=run)  # type: ignore[arg-type]
    call = program_call(CommandRun(command=("true",)), **given)
    shown: list[ScopeState] = []

    async def follow() -> None:
        watch = SpendWatch(call, scope.read, shown.append)
        following = asyncio.create_task(watch.follow(ScopeState()))
        while scope.looks < looks:
            await asyncio.sleep(0.001)
        following.cancel()

    async with asyncio.timeout(10):
        await environment.run(follow)
    assert len(shown) >= looks - 2
    return [spend.spent_usd for spend in run.signals]


def grows(look: int, known: Decimal) -> Decimal:
    return known + STEP


async def test_only_a_changed_cost_is_told() -> None:
    scope = Scope(lambda look, known: STEP if look < 10 else 2 * STEP)
    assert await followed(scope, Run(), 20, signal_seconds=0.0001) == [STEP, 2 * STEP]
    known = Scope(lambda look, known: STEP)
    assert await followed(known, Run(), 10, signal_seconds=0.0001, known_spent_usd=STEP) == []


async def test_a_program_with_many_calls_is_told_of_after_the_pause() -> None:
    scope = Scope(grows)
    assert await followed(scope, Run(), 50, signal_seconds=1_000) == [STEP]
    assert scope.asked[0] == spend_watch.WAIT_SECONDS, "nothing is to be told yet"
    assert max(scope.asked[2:]) <= spend_watch.WAIT_SECONDS


async def test_a_run_that_wants_no_signals_gets_none() -> None:
    """It began with an earlier version; its activity reads the scope for its heartbeats."""
    scope = Scope(grows)
    assert await followed(scope, Run(), 10) == []
    assert set(scope.asked) == {spend_watch.WAIT_SECONDS}


async def test_a_signal_that_fails_is_sent_with_the_next_look_unless_the_run_has_ended() -> None:
    away = Run(fails=[RPCStatusCode.UNAVAILABLE])
    scope = Scope(lambda look, known: STEP)
    assert await followed(scope, away, 10, signal_seconds=0.0001) == [STEP]
    ended = Run(fails=[RPCStatusCode.NOT_FOUND])
    assert await followed(Scope(grows), ended, 10, signal_seconds=0.0001) == []


def test_the_number_of_signals_is_bounded() -> None:
    def signals(hours: float) -> int:
        elapsed, count = 0.0, 0
        while elapsed < hours * 3_600:
            elapsed += pause(2, elapsed)
            count += 1
        return count

    assert signals(5 / 60) < 45
    assert signals(1) < 160
    assert signals(24) < 3_000, "Temporal allows 10,000 signals in an execution"
