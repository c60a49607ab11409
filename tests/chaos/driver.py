"""Plays a storm: starts runs, kills and freezes processes, moves money, waits for all to end."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.exceptions import WorkflowAlreadyStartedError

from durable_agent_team.contracts import names
from durable_agent_team.contracts.spend import SpendReport
from tests.chaos.facts import Decision
from tests.chaos.schedule import MoneyEvent, PlannedRun, ProcessEvent, Storm
from tests.chaos.simulated_operator import SimulatedOperator
from tests.chaos.stack import Stack
from tests.chaos.stdio_servers import NAME as STDIO
from tests.chaos.strikes import Strikes
from tests.chaos.teams import SEAM_EVENTS, make_request
from tests.chaos.tools import EFFECTS
from workflows.continuation import EVENTS_MEMO

RPC = timedelta(seconds=4)
MICRO = Decimal("0.000001")
CALM_SECONDS = 300.0
"""The time that runs have to end after the last event."""


class NoAnswer(Exception):
    """A request failed on every attempt; the message has the last failure."""


class Driver:
    """`expected` has the endings that each started run's team allows; `ended` those at the end."""

    def __init__(self, storm: Storm, stack: Stack, say: Callable[[str], None]) -> None:
        self.expected: dict[str, frozenset[str]] = {}
        self.handles: dict[str, WorkflowHandle[Any, Any]] = {}
        self.ended: set[str] = set()
        self._storm = storm
        self._stack = stack
        self._say = say
        self._began = 0.0
        self._operator = SimulatedOperator(self)

    @property
    def decisions(self) -> list[Decision]:
        """Of the simulated operator, in order."""
        return self._operator.decisions

    @property
    def client(self) -> Client:
        return self._stack.client

    @property
    def open(self) -> list[str]:
        return [run for run in self.handles if run not in self.ended]

    def run_id(self, index: int) -> str:
        return f"chaos-{self._storm.seed}-{index:03d}"

    async def play(self) -> None:
        """Until every run has ended, or the calm after the storm has lasted too long."""
        self._began = time.monotonic()
        background = [
            asyncio.create_task(each)
            for each in (
                self._stack.look_after(),
                self._operator.watch(),
                self._watch_ends(),
                self._strikes().watch(),
            )
        ]
        try:
            async with asyncio.TaskGroup() as group:
                for planned in self._storm.runs:
                    group.create_task(self._start(planned))
                for hit in self._storm.processes:
                    group.create_task(self._hit(hit))
                for order in self._storm.money:
                    group.create_task(self._move(order))
            self._say(f"{self._clock()} the storm is over; {len(self.open)} runs are still open")
            deadline = time.monotonic() + CALM_SECONDS
            while self.open and time.monotonic() < deadline:
                await asyncio.sleep(0.2)
            self._say(f"{self._clock()} {len(self.open)} runs are still open")
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)

    def _strikes(self) -> Strikes:
        runs = {self.run_id(run.index) for run in self._storm.runs if run.shape == "servers"}
        effects = self._stack.folder / EFFECTS
        return Strikes(self._storm.seed, effects, runs, self._stack.kill_tool_servers)

    async def _start(self, planned: PlannedRun) -> None:
        await self._until(planned.at)
        run = self.run_id(planned.index)
        request, self.expected[run] = make_request(
            planned, run, str(self._stack.folder), self._stack.http_server
        )
        events = SEAM_EVENTS.get(planned.shape)
        memo = {names.FORMAT_MEMO: names.HISTORY_FORMAT}
        if events:
            memo[EVENTS_MEMO] = events
        while True:  # an answer that got lost leaves a run that is started already
            try:
                await self._stack.client.start_workflow(
                    names.WORKFLOW,
                    request,
                    id=run,
                    task_queue=names.TASK_QUEUE,
                    memo=memo,
                    rpc_timeout=RPC,
                )
            except WorkflowAlreadyStartedError:
                pass
            except Exception:
                await asyncio.sleep(0.3)
                continue
            self.handles[run] = self._stack.client.get_workflow_handle(run)
            return

    async def _hit(self, event: ProcessEvent) -> None:
        await self._until(event.at)
        self._say(f"{self._clock()} {event.kind} {event.victim} ({event.seconds:.1f} s)")
        if event.kind == "down":
            await self._stack.upstream.go_down(event.seconds)
            return
        if event.kind == "fill":
            await self._stack.disks[event.victim].fill(event.seconds)
            return
        if event.kind == "remove":
            await self._stack.texts.remove(event.seconds)
            return
        stdio = event.victim == STDIO
        victim = self._stack.stdio_servers if stdio else self._stack.victims[event.victim]
        await (victim.kill if event.kind == "kill" else victim.freeze)(event.seconds)

    async def _move(self, event: MoneyEvent) -> None:
        """Not checked here: a refusal is valid, and a lost change shows in the ledger."""
        await self._until(event.at)
        run = self.run_id(event.run)
        handle = self.handles.get(run)
        if handle is None or run in self.ended:
            return
        if event.kind == "cancel":
            self.expected[run] |= {"cancelled"}
        with contextlib.suppress(Exception):
            async with asyncio.timeout(10):
                await self._order(handle, event)

    async def _order(self, handle: WorkflowHandle[Any, Any], event: MoneyEvent) -> None:
        if event.kind == "cancel":
            if event.as_signal:
                await handle.signal("cancel", {"reason": "the storm"}, rpc_timeout=RPC)
            else:
                await handle.cancel(rpc_timeout=RPC)
            return
        spend = await self.spend(handle)
        one, other = (spend.agents[place % len(spend.agents)] for place in event.agents)
        share = Decimal(str(event.share))
        name, payload = "adjust_budget", {"agent": one.agent}
        if event.kind == "transfer":
            name = "transfer"
            amount = str((one.remaining_usd * share).quantize(MICRO))
            payload = {"from_agent": one.agent, "to_agent": other.agent, "amount_usd": amount}
        elif event.kind == "cut":
            payload["budget_usd"] = str((one.spent_usd + one.remaining_usd * share).quantize(MICRO))
        else:
            payload["budget_usd"] = str((one.budget_usd * (1 + share)).quantize(MICRO))
        if event.as_signal:
            await handle.signal("adjust", {"kind": name, **payload}, rpc_timeout=RPC)
        else:
            await handle.execute_update(name, payload)

    async def spend(self, handle: WorkflowHandle[Any, Any]) -> SpendReport:
        report: SpendReport = await handle.query("spend", result_type=SpendReport, rpc_timeout=RPC)
        return report

    async def _watch_ends(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            for run in self.open:
                with contextlib.suppress(Exception):
                    found = await self.handles[run].describe(rpc_timeout=RPC)
                    if found.status is not WorkflowExecutionStatus.RUNNING:
                        self.ended.add(run)

    async def _until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, self._began + at - time.monotonic()))

    def _clock(self) -> str:
        return f"{time.monotonic() - self._began:6.1f} s"


async def tried(work: Callable[[], Awaitable[Any]], seconds: float) -> Any:
    """The work's result, however often it fails before. Raises `NoAnswer` with the last failure."""
    last: Exception | None = None
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            return await work()
        except Exception as error:
            last = error
            await asyncio.sleep(0.3)
    raise NoAnswer(f"nothing in {seconds:g} s; the last failure: {last!r}"[:600])
