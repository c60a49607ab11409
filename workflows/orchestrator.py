"""The workflow `Orchestrator`: the life of a run. Its messages are in `handlers.py`."""

import asyncio
from typing import Any

from temporalio import workflow

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.names import WORKFLOW
from durable_agent_team.contracts.run import RunReport, RunRequest, RunStatus
from durable_agent_team.rules.value_limits import START
from workflows.closing import close, report_or_raise, run_error
from workflows.handlers import Handlers
from workflows.messages import BadMessage, parse
from workflows.plans.answer_step import final_answer
from workflows.plans.planning_step import check_team, make_plan
from workflows.plans.review_step import review_plan
from workflows.state.reports import joined
from workflows.tasks.assignments import PLAN_SUBJECT


@workflow.defn(name=WORKFLOW)
class Orchestrator(Handlers):
    """Decomposes a goal, runs specialists in parallel, checks every hand-off, answers.

    Start input: `RunRequest`. Result: `RunReport`. A run that has no result because a task failed
    fails with `RunFailed`, a cancelled one with `RunCancelled`, and the report is in the details.
    """

    @workflow.init
    def __init__(self, payload: Any = None, *extra: Any) -> None:
        super().__init__()
        self._bad_start: str | None = None
        try:
            self._run.progress.request = parse(RunRequest, payload, extra, START)
        except BadMessage as bad:
            self._bad_start = str(bad)

    @workflow.run
    async def run(self, payload: Any = None, *extra: Any) -> RunReport:
        """Carries out the steps; however they end, closes the accounts and reports."""
        if self._bad_start is not None:
            raise run_error(ErrorType.INVALID_INPUT, self._bad_start)
        run = self._run
        publishing = asyncio.create_task(run.publisher.watch())
        await run.carry_out(self._steps())
        await close(run)
        publishing.cancel()
        return report_or_raise(run.progress)

    async def _steps(self) -> None:
        run, progress = self._run, self._run.progress
        catalog = await run.accounts.read_catalog()
        run.raise_if_cancelled()
        check_team(progress, catalog)
        await run.accounts.open(catalog)
        run.raise_if_cancelled()
        calls = run.make_calls(catalog)
        progress.tasks.adopt(await make_plan(progress, calls))
        run.raise_if_cancelled()
        if progress.team.approve_plan:
            await run.approval.wait_for(PLAN_SUBJECT)
            run.raise_if_cancelled()
        progress.become(RunStatus.WORKING)
        runner = run.make_runner(calls)
        await runner.run()
        await review_plan(progress, calls, runner)
        run.raise_if_cancelled()
        progress.become(RunStatus.FINISHING)
        parts = await final_answer(progress, calls)
        progress.give_answer(joined(parts), parts)
