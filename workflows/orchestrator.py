"""The workflow `Orchestrator`: a run as a story, and what people outside may ask and tell it.

Every entry takes any payload and parses it inside (`workflows/messages.py`): a typed handler
would fail the workflow task forever on a missing or an additional argument.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from contracts.activities import AccountActivities
from contracts.calls import Purpose, Source
from contracts.control import (
    AdjustBudget,
    Adjustment,
    Approve,
    BudgetAdjusted,
    Cancel,
    Empty,
    StateQuery,
)
from contracts.errors import ErrorType
from contracts.names import ORCHESTRATOR_AGENT, WORKFLOW
from contracts.plan import Plan, Problem
from contracts.run import Failure, RunReport, RunRequest, RunState, RunStatus, TaskStatus
from contracts.spend import ModelCatalog, SpendReport
from contracts.team import OnTaskFailure
from workflows.accounts import Accounts
from workflows.calls import Assignment, Calls, TaskFailed, was_cancelled
from workflows.failures import understand
from workflows.messages import BadMessage, parse
from workflows.planning import parse_plan, plan_ask, plan_schema
from workflows.policies import account_options
from workflows.progress import Progress, is_terminal
from workflows.prompts import FINAL_ASK, orchestrator_text, system_text, task_sources
from workflows.publishing import Publisher
from workflows.validation import team_problems

PLAN_SUBJECT = "plan"
ANSWER_SUBJECT = "answer"


@workflow.defn(name=WORKFLOW)
class Orchestrator:
    """Decomposes a goal, runs specialists in parallel, checks every hand-off, answers.

    Start input: `contracts.run.RunRequest`. Result: `contracts.run.RunReport`; a run that a
    failed task kept from its result fails with `RunFailed`, the report in its details.
    """

    @workflow.init
    def __init__(self, payload: Any = None, *extra: Any) -> None:
        self._progress = Progress(workflow.info().workflow_id, workflow.info().start_time)
        self._accounts = Accounts(self._progress)
        self._publisher = Publisher(self._progress)
        self._calls: Calls | None = None
        self._story: asyncio.Task[None] | None = None
        self._approval: Approve | None = None
        self._bad_start: str | None = None
        try:
            self._progress.request = parse(RunRequest, payload, extra)
        except BadMessage as bad:
            self._bad_start = str(bad)

    @workflow.run
    async def run(self, payload: Any = None, *extra: Any) -> RunReport:
        """Prepare, plan, work, answer; then, whichever way that ended, close and report."""
        if self._bad_start is not None:
            raise _invalid_input(self._bad_start)
        self._story = asyncio.create_task(self._carry_out())
        if self._progress.stopping:
            self._story.cancel()
        try:
            await self._story
            self._progress.status = RunStatus.FINISHING
        except asyncio.CancelledError:
            # By the signal or by Temporal: both end here. Only what is expected is caught: a
            # bug must fail the workflow task and wait for its fix, with the accounts open.
            self._stop("cancelled in Temporal")
        except TaskFailed as failed:
            self._progress.failure = failed.failure
        await self._finish()
        return self._outcome()

    async def _carry_out(self) -> None:
        catalog = await self._read_catalog()
        self._must_be_valid(catalog)
        try:
            await self._accounts.open(catalog)
        except ActivityError as error:
            raise TaskFailed(understand(error)[0]) from None
        self._calls = Calls(self._progress, self._accounts, catalog)
        self._calls.pause(self._progress.paused)
        await self._make_plan(self._calls)
        await self._work(self._calls)
        await self._answer(self._calls)

    # Preparation

    async def _read_catalog(self) -> ModelCatalog:
        self._publisher.changed()
        try:
            return await workflow.execute_activity_method(
                AccountActivities.read_models, **account_options(), summary="models and prices"
            )
        except ActivityError as error:
            raise TaskFailed(understand(error)[0]) from None

    def _must_be_valid(self, catalog: ModelCatalog) -> None:
        assert self._progress.request is not None
        problems = team_problems(self._progress.request, catalog)
        if problems:
            raise TaskFailed(Failure(type=ErrorType.INVALID_INPUT, message=_sentences(problems)))

    # The plan

    async def _make_plan(self, calls: Calls) -> None:
        team = self._progress.team
        if team.tasks:
            self._progress.adopt(Plan(tasks=team.tasks, result=team.result))
        else:
            self._become(RunStatus.PLANNING)
            self._progress.adopt(await self._decompose(calls))
        if team.approve_plan:
            await self._wait_for_approval()

    async def _decompose(self, calls: Calls) -> Plan:
        team, goal = self._progress.team, self._progress.goal

        def reasons(answer: str) -> Sequence[str]:
            plan = parse_plan(answer, team, goal)
            return [] if isinstance(plan, Plan) else [str(problem) for problem in plan]

        assignment = self._orchestrators(
            PLAN_SUBJECT, Purpose.PLAN, plan_ask(team), output=plan_schema(team)
        )
        try:
            plan = parse_plan(await calls.ask(assignment, accept=reasons), team, goal)
        except TaskFailed as failed:
            if failed.failure.type != ErrorType.CHECK_FAILED:
                raise
            raise TaskFailed(
                Failure(type=ErrorType.INVALID_PLAN, message=failed.failure.message)
            ) from None
        assert isinstance(plan, Plan)
        return plan

    async def _wait_for_approval(self) -> None:
        self._become(RunStatus.APPROVAL)
        self._progress.wait_for_person(
            PLAN_SUBJECT, "the plan waits for approval", workflow.now(),
            """temporal workflow update execute --name approve"""
            f""" --workflow-id {self._progress.workflow_id}"""
            """ --input '{"subject": "plan", "approved": true}'""",
        )  # fmt: skip
        await workflow.wait_condition(lambda: self._approval is not None)
        answer, self._approval = self._approval, None
        if answer is not None and not answer.approved:
            self._stop(f"the plan was refused: {answer.note}".rstrip(": "))
            raise asyncio.CancelledError

    # The work

    async def _work(self, calls: Calls) -> None:
        self._become(RunStatus.WORKING)
        try:
            async with asyncio.TaskGroup() as group:
                for task_id in self._progress.schedule.start():
                    self._start(group, calls, task_id)
        except* _RestCancelled:
            pass

    def _start(self, group: asyncio.TaskGroup, calls: Calls, task_id: str) -> None:
        group.create_task(self._do(group, calls, task_id))

    async def _do(self, group: asyncio.TaskGroup, calls: Calls, task_id: str) -> None:
        """One task from its first call to its hand-off; then whoever waited for it starts."""
        event_group = workflow.create_event_group(task_id, label=task_id)
        with event_group.scope():
            try:
                handoff = await calls.ask(self._assignment(task_id))
            except TaskFailed as failed:
                self._task_failed(task_id, failed.failure)
                return
        self._progress.handoffs[task_id] = handoff
        self._progress.logs[task_id].ended_at = workflow.now()
        ready = self._progress.schedule.done(task_id)
        self._publisher.changed()
        if not self._progress.stopping and not was_cancelled():
            for freed in ready:
                self._start(group, calls, freed)

    def _task_failed(self, task_id: str, failure: Failure) -> None:
        log = self._progress.logs[task_id]
        log.failure, log.ended_at = failure, workflow.now()
        for blocked in self._progress.schedule.failed(task_id):
            self._progress.logs[blocked].failure = Failure(
                type=ErrorType.DEPENDENCY_FAILED, message=f"{task_id} failed: {failure.type}"
            )
        self._publisher.changed()
        if self._progress.team.on_task_failure is OnTaskFailure.CANCEL_REST:
            self._progress.stopping = True
            raise _RestCancelled

    def _assignment(self, task_id: str) -> Assignment:
        team = self._progress.team
        task = self._progress.schedule.tasks[task_id]
        agent = team.agents[task.agent]
        assert self._progress.request is not None
        return Assignment(
            agent=task.agent,
            caller=agent,
            subject=task_id,
            system=system_text(agent),
            ask=task.ask,
            sources=task_sources(
                team, task, self._progress.request.sources, self._progress.handoffs
            ),
            output=task.output,
            checks=task.checks,
        )

    # The answer

    async def _answer(self, calls: Calls) -> None:
        self._become(RunStatus.FINISHING)
        progress = self._progress
        results = progress.result_ids()
        for task_id in results:
            if progress.schedule.status[task_id] is not TaskStatus.DONE:
                raise TaskFailed(_why_missing(progress, task_id))
        if progress.team.final == "handoff":
            progress.answer = "\n\n".join(progress.handoffs[task_id] for task_id in results)
            return
        sources = tuple(
            Source(name=task_id, text=progress.handoffs[task_id]) for task_id in results
        )
        progress.answer = await calls.ask(
            self._orchestrators(ANSWER_SUBJECT, Purpose.FINAL, FINAL_ASK, sources=sources)
        )

    def _orchestrators(self, subject: str, purpose: Purpose, ask: str, **more: Any) -> Assignment:
        """The orchestrator's own calls: the goal is put anew into every one of them."""
        team = self._progress.team
        return Assignment(
            agent=ORCHESTRATOR_AGENT,
            caller=team.orchestrator,
            subject=subject,
            system=orchestrator_text(team),
            goal=self._progress.goal,
            ask=ask,
            purpose=purpose,
            **more,
        )

    # The end

    async def _finish(self) -> None:
        """Closes the accounts and reads the ledgers back, shielded from a late cancellation."""
        closing = asyncio.create_task(self._close())
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError:
                self._stop("cancelled in Temporal")

    async def _close(self) -> None:
        progress = self._progress
        progress.waiting.clear()
        progress.schedule.cancel_rest()
        ended = self._ending()
        self._become(RunStatus.CLOSING)
        await self._accounts.close()
        progress.status = ended
        self._publisher.changed()
        await workflow.wait_condition(workflow.all_handlers_finished)
        self._publisher.flush()

    def _ending(self) -> RunStatus:
        progress = self._progress
        if progress.answer is not None and progress.failure is None:
            return RunStatus.COMPLETED
        return RunStatus.FAILED if progress.failure else RunStatus.CANCELLED

    def _outcome(self) -> RunReport:
        """The report as the result, or in the error of a run that has none."""
        report = self._progress.report(workflow.now())
        failure = self._progress.failure
        if report.status is not RunStatus.FAILED or failure is None:
            return report
        if failure.type == ErrorType.INVALID_INPUT:
            raise _invalid_input(failure.message, report)
        raise ApplicationError(
            f"{failure.type}: {failure.message}",
            report,
            type=ErrorType.RUN_FAILED,
            non_retryable=True,
        )

    def _stop(self, reason: str) -> None:
        """Nothing new starts. The first reason stands."""
        self._progress.stopping = True
        if self._progress.cancel_reason is None and not is_terminal(self._progress.status):
            self._progress.cancel_reason = reason

    def _become(self, status: RunStatus) -> None:
        self._progress.status = status
        self._publisher.changed()

    # What people outside may ask

    @workflow.query
    def spend(self, payload: Any = None, *extra: Any) -> SpendReport:
        """What every agent has, has spent and may still spend. USD."""
        return self._progress.spend()

    @workflow.query
    def state(self, payload: Any = None, *extra: Any) -> RunState:
        """Status, plan, what waits for whom, and which messages were refused.

        Payload: `contracts.control.StateQuery`.
        """
        try:
            return self._progress.state(parse(StateQuery, payload, extra).page)
        except BadMessage as bad:
            raise ApplicationError(str(bad), type=ErrorType.INVALID_INPUT) from None

    # What people outside may tell it

    @workflow.signal
    def cancel(self, payload: Any = None, *extra: Any) -> None:
        """Stops starting work, stops what runs, keeps what is done, closes accounts, reports."""
        order = self._understood("cancel", Cancel, payload, extra)
        if order is None or is_terminal(self._progress.status):
            return
        self._stop(order.reason or "cancelled by signal")
        if self._story is not None and not self._story.done():
            self._story.cancel()

    @workflow.signal
    def pause(self, payload: Any = None, *extra: Any) -> None:
        """No new call starts; what runs goes on."""
        if self._understood("pause", Empty, payload, extra):
            self._set_paused(True)

    @workflow.signal
    def resume(self, payload: Any = None, *extra: Any) -> None:
        """Calls start again."""
        if self._understood("resume", Empty, payload, extra):
            self._set_paused(False)

    @workflow.signal
    async def adjust(self, payload: Any = None, *extra: Any) -> None:
        """An update without an answer: `kind` names it. A bad one is recorded in `state`."""
        order = self._understood("adjust", Adjustment, payload, extra)
        if order is None:
            return
        try:
            await self._adjust_budget(order)
        except ApplicationError as refused:
            self._progress.refuse(workflow.now(), "adjust", refused.message)

    @workflow.update
    async def adjust_budget(self, payload: Any = None, *extra: Any) -> BudgetAdjusted:
        """A new limit for one agent, effective at the gateway at once.

        Payload: `contracts.control.AdjustBudget`. Refused below what is spent, or where the
        agents' limits together would exceed the team's.
        """
        return await self._adjust_budget(parse(AdjustBudget, payload, extra))

    @adjust_budget.validator
    def _check_adjust_budget(self, payload: Any = None, *extra: Any) -> None:
        order = _parse_update(AdjustBudget, payload, extra)
        if self._progress.accounts:
            self._accounts.must_allow(order)

    @workflow.update
    async def approve(self, payload: Any = None, *extra: Any) -> Approve:
        """Answers what waits for a person. Payload: `contracts.control.Approve`."""
        order = parse(Approve, payload, extra)
        self._progress.waiting.pop(order.subject, None)
        self._approval = order
        return order

    @approve.validator
    def _check_approve(self, payload: Any = None, *extra: Any) -> None:
        order = _parse_update(Approve, payload, extra)
        if order.subject not in self._progress.waiting:
            raise ApplicationError(
                f"subject = {order.subject!r}: nothing of this name waits for a person"
                f" (waiting: {', '.join(self._progress.waiting) or 'nothing'})",
                type=ErrorType.INVALID_INPUT,
            )

    async def _adjust_budget(self, order: AdjustBudget) -> BudgetAdjusted:
        await workflow.wait_condition(lambda: bool(self._progress.accounts) or self._is_ending())
        if self._is_ending():
            raise ApplicationError("the run has ended", type=ErrorType.INVALID_INPUT)
        adjusted = await self._accounts.adjust(order)
        if self._calls is not None:
            self._calls.release(order.agent)
        self._publisher.changed()
        return adjusted

    def _is_ending(self) -> bool:
        return self._progress.status is RunStatus.CLOSING or is_terminal(self._progress.status)

    def _set_paused(self, paused: bool) -> None:
        self._progress.paused = paused
        if self._calls is not None:
            self._calls.pause(paused)
        self._publisher.changed()

    def _understood(self, name: str, model: Any, payload: Any, extra: tuple[Any, ...]) -> Any:
        """The payload of a signal, or None: then what is wrong with it stands in `state`."""
        try:
            return parse(model, payload, extra)
        except BadMessage as bad:
            self._progress.refuse(workflow.now(), name, str(bad))
            return None


class _RestCancelled(Exception):
    """A task failed in a team that then wants the rest cancelled."""


def _parse_update(model: Any, payload: Any, extra: tuple[Any, ...]) -> Any:
    try:
        return parse(model, payload, extra)
    except BadMessage as bad:
        raise ApplicationError(str(bad), type=ErrorType.INVALID_INPUT) from None


def _why_missing(progress: Progress, task_id: str) -> Failure:
    """The root of a missing result: the failed task, not the one that waited for it."""
    failed = next(
        (each for each, log in progress.logs.items()
         if log.failure and log.failure.type != ErrorType.DEPENDENCY_FAILED), task_id,
    )  # fmt: skip
    failure = progress.logs[failed].failure
    if failure is None:
        return Failure(type=ErrorType.RUN_FAILED, message=f"task {task_id} did not run")
    message = f"task {failed}: {failure.message}"[:2000]
    return failure.model_copy(update={"message": message})


def _invalid_input(problem: str, *details: Any) -> ApplicationError:
    return ApplicationError(problem, *details, type=ErrorType.INVALID_INPUT, non_retryable=True)


def _sentences(problems: Sequence[Problem]) -> str:
    return "; ".join(str(problem) for problem in problems)[:2000]
