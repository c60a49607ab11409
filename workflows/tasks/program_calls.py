"""Runs agents that are programs: in a scope, in an environment, with their spend while they run.

An execution is one call, whose key is the scope (docs/adr/045).
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError

from durable_agent_team.contracts.activity_interfaces import ProgramActivities
from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.program import EnvironmentOrder, ProgramCall
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.team import Agent
from durable_agent_team.rules.programs import environment_of, run_of
from workflows.activity_errors import run_failure
from workflows.activity_executor import ActivityExecutor
from workflows.money.run_accounts import RunAccounts
from workflows.policies import ActivityOptions, environment_options
from workflows.state.charges import Use
from workflows.state.program_scope import ProgramScope
from workflows.state.progress import Progress
from workflows.tasks.call_requests import Assignment

SIGNAL_SECONDS = 2.0
"""The shortest pause between two signals of a program that say what it has cost so far, where few
programs run. Many together signal less often, so that the history grows no faster."""
FEW_PROGRAMS = 5

FIRST_LOOK_SECONDS = 2.0
LOOKS_GROW = 1.5
LONGEST_LOOK_SECONDS = 60.0
"""How often the ledger is read while a program runs, in runs that began before there were signals.
An hour of it adds about 400 events to the history."""


class ProgramCalls:
    """Executions of programs. `PaidCalls` decides when, and what follows."""

    def __init__(
        self, progress: Progress, activities: ActivityExecutor, accounts: RunAccounts
    ) -> None:
        self._progress = progress
        self._activities = activities
        self._accounts = accounts

    def scope(self, assignment: Assignment) -> ProgramScope:
        """The scope of this task's work, which its first execution opens."""
        found = self._progress.scopes.get(assignment.subject)
        if found is None:
            found = ProgramScope(str(workflow.uuid4()), assignment.agent)
            self._progress.scopes[assignment.subject] = found
        return found

    def done(self, subject: str, scope_id: str) -> None:
        """Its work is done: if a person has it done again, that is another scope."""
        if self._current(subject, scope_id) is not None:
            del self._progress.scopes[subject]

    def failed(self, subject: str, scope_id: str, failure: Failure) -> None:
        """An execution has reported why it has no answer."""
        scope = self._current(subject, scope_id)
        if scope is not None:
            scope.reported(failure.remote_task)
            scope.prepared = False  # a person may correct its lock file before the next one

    def _current(self, subject: str, scope_id: str) -> ProgramScope | None:
        """None for a scope that another has replaced, since the task is done again."""
        scope = self._progress.scopes.get(subject)
        return scope if scope is not None and scope.id == scope_id else None

    async def prepare(self, assignment: Assignment) -> None:
        """Makes the program's environment, outside of the program's time. Raises TaskFailed, and
        CancelledError in a run that starts nothing new."""
        environment = environment_of(run_of(assignment.caller))
        if environment is None or self.scope(assignment).prepared:
            return
        order = EnvironmentOrder(agent=assignment.agent, environment=environment)
        preparing = asyncio.create_task(self._prepared(assignment, order))
        try:
            await workflow.wait_condition(lambda: preparing.done() or self._progress.stopping)
        finally:
            if not preparing.done():
                preparing.cancel()
        if not preparing.done():
            raise asyncio.CancelledError
        try:
            preparing.result()
        except FailureError as error:
            raise run_failure(error) from None

    async def _prepared(self, assignment: Assignment, order: EnvironmentOrder) -> None:
        scope = self.scope(assignment)
        scope.preparing = True
        self._progress.changed()
        try:
            await self._activities.execute(
                ProgramActivities.prepare_environment,
                order,
                environment_options(),
                summary=f"{assignment.agent} · {assignment.subject} · environment",
            )
            scope.prepared = True
        finally:
            scope.preparing = False
            self._progress.changed()

    async def execute(
        self,
        assignment: Assignment,
        request: CallRequest,
        options: ActivityOptions,
        *,
        summary: str,
    ) -> CallResult:
        """One activity, which is one execution of the scope. Raises ActivityError and NotIssued."""
        scope = self.scope(assignment)
        scope.executions += 1
        call = self._call(assignment, request, scope)
        async with self._spend_shown(assignment.agent):
            result: CallResult = await self._activities.execute(
                ProgramActivities.run_program, call, options, summary=summary
            )
        scope.reported(result.remote_task)
        return result

    def _call(
        self, assignment: Assignment, request: CallRequest, scope: ProgramScope
    ) -> ProgramCall:
        agent = assignment.caller
        run = run_of(agent)
        assert run is not None
        assert isinstance(agent, Agent)
        charges = self._progress.accounts[assignment.agent].charges
        known = charges.of_key(scope.id) - charges.of_use(scope.id, Use.USEFUL)
        optional: dict[str, Any] = {
            "instructions": agent.instructions,
            "effect_answers": scope.effect_answers,
            "reply": scope.reply,
            "remote_task": scope.remote_task,
            "known_spent_usd": known,
            "signal_seconds": self._signal_seconds(),
        }
        return ProgramCall(
            call=request,
            run=run,
            scope=scope.id,
            execution=scope.executions,
            role=agent.role,
            timeout_seconds=agent.timeout_seconds,
            **{name: value for name, value in optional.items() if value},
        )

    def _signal_seconds(self) -> float | None:
        if not self._progress.catalog.spend_signals:
            return None
        return SIGNAL_SECONDS * max(self._progress.programs_in_flight / FEW_PROGRAMS, 1)

    @asynccontextmanager
    async def _spend_shown(self, agent: str) -> AsyncIterator[None]:
        """In a run without signals: reads the ledger from time to time while the body runs."""
        if self._progress.catalog.spend_signals or not self._progress.capabilities.ledger:
            yield
            return
        looking = asyncio.create_task(self._look(agent))
        try:
            yield
        finally:
            looking.cancel()

    async def _look(self, agent: str) -> None:
        for seconds in _pauses():
            await workflow.sleep(timedelta(seconds=seconds), summary=f"{agent} · spend")
            await self._accounts.observe(agent)
            self._progress.changed()


def _pauses() -> Iterator[float]:
    seconds = FIRST_LOOK_SECONDS
    while True:
        yield seconds
        seconds = min(seconds * LOOKS_GROW, LONGEST_LOOK_SECONDS)
