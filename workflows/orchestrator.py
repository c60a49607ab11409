"""The workflow `Orchestrator`: a run as a story. What people may ask and tell it: `steering.py`."""

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from durable_agent_team.contracts.activity_interfaces import AccountActivities
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.names import WORKFLOW
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import Failure, RunReport, RunRequest, RunStatus
from durable_agent_team.contracts.spend import ModelCatalog
from durable_agent_team.rules.planning import parse_plan
from durable_agent_team.rules.review import Review, parse_review, to_do_again
from durable_agent_team.rules.validation import team_problems
from workflows.activity_errors import understand
from workflows.handlers import Steering
from workflows.messages import BadMessage, parse
from workflows.policies import catalog_options
from workflows.state.reports import joined
from workflows.tasks.assignments import (
    PLAN_SUBJECT,
    answer_assignment,
    plan_assignment,
    review_assignment,
)
from workflows.tasks.exceptions import TaskFailed, TaskSkipped, was_cancelled
from workflows.tasks.paid_call import PaidCalls
from workflows.tasks.runner import TaskRunner, first_failure, missing_result


@workflow.defn(name=WORKFLOW)
class Orchestrator(Steering):
    """Decomposes a goal, runs specialists in parallel, checks every hand-off, answers.

    Start input: `RunRequest`. Result: `RunReport`; a run that a failed task kept from its result
    fails with `RunFailed`, the report in its details.
    """

    @workflow.init
    def __init__(self, payload: Any = None, *extra: Any) -> None:
        super().__init__()
        self._bad_start: str | None = None
        try:
            self._progress.request = parse(RunRequest, payload, extra)
        except BadMessage as bad:
            self._bad_start = str(bad)

    @workflow.run
    async def run(self, payload: Any = None, *extra: Any) -> RunReport:
        """Carries out the story; then, whichever way that ended, closes and reports."""
        if self._bad_start is not None:
            raise _error(ErrorType.INVALID_INPUT, self._bad_start)
        shown = asyncio.create_task(self._publisher.watch())
        self._story = asyncio.create_task(self._carry_out())
        if self._progress.stopping:
            self._story.cancel()
        try:
            await self._story
        except asyncio.CancelledError:
            # By the signal or by Temporal: both end here. Only what is expected is caught: a
            # bug must fail the workflow task and wait for its fix, with the accounts open.
            self._progress.stop("cancelled in Temporal")
        except (TaskFailed, TaskSkipped) as ended:
            self._progress.failure = ended.failure
        await self._finish()
        shown.cancel()
        return self._outcome()

    async def _carry_out(self) -> None:
        catalog = await self._read_catalog()
        self._must_go_on()
        self._must_be_valid(catalog)
        await self._open_accounts(catalog)
        self._must_go_on()
        calls = self._orders.calls = PaidCalls(
            self._progress, self._accounts, self._parking, catalog, self._publisher.changed
        )
        self._progress.adopt(await self._make_plan(calls))
        self._must_go_on()
        if self._progress.team.approve_plan:
            await self._wait_for_approval(PLAN_SUBJECT)
            self._must_go_on()
        self._become(RunStatus.WORKING)
        work = self._orders.work = TaskRunner(self._progress, calls, self._publisher.changed)
        await work.run()
        await self._review(calls, work)
        self._must_go_on()
        self._become(RunStatus.FINISHING)
        self._progress.answer = await self._answer(calls)

    def _must_go_on(self) -> None:
        """A step that was done in the moment of a cancellation has swallowed it."""
        if self._progress.cancel_reason is not None or was_cancelled():
            raise asyncio.CancelledError

    async def _read_catalog(self) -> ModelCatalog:
        self._publisher.changed()
        try:
            # Local: it costs nothing, so it may be asked again, and need not pass the server.
            return await workflow.execute_local_activity_method(
                AccountActivities.read_models, **catalog_options(), summary="models and prices"
            )
        except ActivityError as error:
            raise _failed(error) from None

    def _must_be_valid(self, catalog: ModelCatalog) -> None:
        assert self._progress.request is not None
        problems = team_problems(self._progress.request, catalog)
        if problems:
            message = "; ".join(str(problem) for problem in problems)[:2000]
            raise TaskFailed(Failure(type=ErrorType.INVALID_INPUT, message=message))

    async def _open_accounts(self, catalog: ModelCatalog) -> None:
        try:
            await self._accounts.open(catalog)
        except ActivityError as error:
            raise _failed(error) from None

    async def _make_plan(self, calls: PaidCalls) -> Plan:
        """The team file's own, or the orchestrator's: validated, and sent back while invalid."""
        team, goal = self._progress.team, self._progress.goal
        if team.tasks:
            return Plan(tasks=team.tasks, result=team.result)
        self._become(RunStatus.PLANNING)

        def reasons(answer: str) -> Sequence[str]:
            plan = parse_plan(answer, team, goal)
            return [] if isinstance(plan, Plan) else [str(problem) for problem in plan]

        try:
            answer = await calls.ask(plan_assignment(self._progress), accept=reasons)
        except TaskFailed as failed:
            if failed.failure.type != ErrorType.CHECK_FAILED:
                raise
            message = failed.failure.message
            raise TaskFailed(Failure(type=ErrorType.INVALID_PLAN, message=message)) from None
        plan = parse_plan(answer, team, goal)
        assert isinstance(plan, Plan)
        return plan

    async def _review(self, calls: PaidCalls, work: TaskRunner) -> None:
        """Bounded rounds of revising the plan. A review that fails leaves the plan as it is."""
        for number in range(1, self._progress.team.review_rounds + 1):
            if self._progress.stopping:
                return
            self._become(RunStatus.REVIEWING)
            revised = await self._revise(calls, number)
            if revised is None or self._progress.stopping:
                return
            review, plan = revised
            self._progress.revise(plan, to_do_again(plan, review.redo))
            self._become(RunStatus.WORKING)
            await work.run()

    async def _revise(self, calls: PaidCalls, number: int) -> tuple[Review, Plan] | None:
        progress = self._progress
        assert progress.plan is not None
        team, plan, goal = progress.team, progress.plan, progress.goal

        def reasons(answer: str) -> Sequence[str]:
            found = parse_review(answer, team, plan, goal, number)
            return [str(problem) for problem in found] if isinstance(found, list) else []

        try:
            answer = await calls.ask(review_assignment(progress), accept=reasons)
        except (TaskFailed, TaskSkipped) as ended:
            progress.refuse(workflow.now(), f"review {number}", ended.failure.message)
            return None
        found = parse_review(answer, team, plan, goal, number)
        if isinstance(found, list) or found[0].finishes:
            return None
        return found

    async def _answer(self, calls: PaidCalls) -> str:
        missing = missing_result(self._progress)
        if missing is not None:
            raise TaskFailed(missing)
        if self._progress.team.final == "handoff":
            results = self._progress.result_ids()
            return joined([self._progress.handoffs[task_id] for task_id in results])
        if self._progress.stopping and (failed := first_failure(self._progress)):
            raise TaskFailed(failed)  # `cancel_rest`: the result is there, and nobody may be asked
        return await calls.ask(answer_assignment(self._progress))

    async def _finish(self) -> None:
        """Closes the accounts and reads the ledgers back, shielded from a late cancellation."""
        closing = asyncio.create_task(self._close())
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError:
                self._progress.stop("cancelled in Temporal")

    async def _close(self) -> None:
        progress = self._progress
        self._orders.deadline.forget()
        progress.waiting.clear()
        progress.schedule.cancel_rest()
        ended = progress.ending()
        self._become(RunStatus.CLOSING)
        # A new limit switches a closed account on again, so none may still be on its way.
        await workflow.wait_condition(workflow.all_handlers_finished)
        await self._accounts.close()
        if ended is RunStatus.COMPLETED:
            progress.cancel_reason = None  # it came to its answer all the same
        self._become(ended)
        await workflow.wait_condition(workflow.all_handlers_finished)
        self._publisher.flush()

    def _outcome(self) -> RunReport:
        """The report as the result, or in the error of a run that has none."""
        report = self._progress.report(workflow.now())
        failure = report.failure
        if report.status is not RunStatus.FAILED or failure is None:
            return report
        if failure.type == ErrorType.INVALID_INPUT:
            raise _error(ErrorType.INVALID_INPUT, failure.message, report)
        raise _error(ErrorType.RUN_FAILED, f"{failure.type}: {failure.message}", report)


def _error(kind: ErrorType, message: str, *details: RunReport) -> ApplicationError:
    return ApplicationError(message, *details, type=kind, non_retryable=True)


def _failed(error: ActivityError) -> BaseException:
    if is_cancelled_exception(error):
        return asyncio.CancelledError()
    return TaskFailed(understand(error)[0])
