"""A simulated operator: resumes parked runs, tops up empty accounts and queries the spending."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from temporalio.client import WorkflowHandle

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunState, Waiting
from tests.chaos.facts import Decision

if TYPE_CHECKING:
    from tests.chaos.driver import Driver

RPC = timedelta(seconds=4)
PATIENCE = 1.5
"""Seconds between two messages about the same subject."""
AT_ONCE = 8


class SimulatedOperator:
    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.decisions: list[Decision] = []
        """To make a task's call again, whether or not the answer to it came."""
        self._spoke: dict[tuple[str, str], float] = {}

    async def watch(self) -> None:
        """Every open run, again and again."""
        while True:
            await asyncio.sleep(0.7)
            gate = asyncio.Semaphore(AT_ONCE)
            await asyncio.gather(*(self._look(run, gate) for run in self._driver.open))

    async def _look(self, run: str, gate: asyncio.Semaphore) -> None:
        """Survives an outage: the next round tries again."""
        async with gate:
            handle = self._driver.handles[run]
            with contextlib.suppress(Exception):
                async with asyncio.timeout(6):
                    state = await handle.query("state", result_type=RunState, rpc_timeout=RPC)
                    for waiting in state.waiting:
                        await self._answer(run, handle, waiting)

    async def _answer(self, run: str, handle: WorkflowHandle[Any, Any], waiting: Waiting) -> None:
        about = (run, waiting.subject)
        if time.monotonic() - self._spoke.get(about, 0.0) < PATIENCE:
            return
        self._spoke[about] = time.monotonic()
        if waiting.type == ErrorType.EFFECT_UNKNOWN:
            # Never a retry: an effect that is counted twice is then the run's own doing.
            await handle.execute_update("answer", {"task": waiting.subject, "decision": "skip"})
        elif waiting.agent is None or "approve" in waiting.command.split():
            await handle.execute_update("approve", {"subject": waiting.subject, "approved": True})
        elif waiting.type == ErrorType.BUDGET_EXHAUSTED:
            await self._top_up(handle, waiting)
        else:
            self.decisions.append(Decision(run, waiting.subject, time.time()))
            await handle.execute_update("retry_task", {"task": waiting.subject})

    async def _top_up(self, handle: WorkflowHandle[Any, Any], waiting: Waiting) -> None:
        """Tops up what this call lacks, and a little more."""
        spend = await self._driver.spend(handle)
        now = next(each.budget_usd for each in spend.agents if each.agent == waiting.agent)
        missing = (waiting.required_usd or Decimal(0)) - (waiting.remaining_usd or Decimal(0))
        wanted = now + max(missing, Decimal(0)) + Decimal("0.0004")
        order = {"agent": waiting.agent, "budget_usd": str(wanted)}
        await handle.execute_update("adjust_budget", order)
