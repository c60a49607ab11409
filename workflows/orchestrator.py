"""The workflow `Orchestrator`: the life of a run. Its messages are in `handlers.py`."""

import asyncio
from typing import Any

from temporalio import workflow

from durable_agent_team.contracts.names import WORKFLOW
from durable_agent_team.contracts.run import RunReport, RunStatus
from workflows.closing import close, report_or_raise
from workflows.handlers import Handlers
from workflows.plans.answer_step import final_answer
from workflows.plans.planning_step import check_team, make_plan
from workflows.plans.review_step import review_plan
from workflows.plans.taking_over import take_over
from workflows.start import begin
from workflows.state.progress import BEFORE_WORK
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
        self._begin = begin(payload, extra)
        super().__init__(self._begin.progress)

    @workflow.run
    async def run(self, payload: Any = None, *extra: Any) -> RunReport:
        """Carries out the steps; however they end, closes the accounts and reports. A run with a
        long history continues as new in between."""
        self._begin.raise_if_wrong()
        run = self._run
        publishing = asyncio.create_task(run.publisher.watch())
        snapshot = await run.carry_out(self._steps())
        if snapshot is not None:
            run.continuation.continue_as_new(snapshot)
        await close(run)
        publishing.cancel()
        return report_or_raise(run.progress)

    async def _steps(self) -> None:
        """Each step looks at what is done already, perhaps by an earlier execution of the run."""
        run, progress = self._run, self._run.progress
        if not progress.account_refs:
            catalog = await run.accounts.read_catalog()
            run.raise_if_cancelled()
            check_team(progress, catalog)
            await run.accounts.open(catalog)
            run.raise_if_cancelled()
        run.take_up()
        answers = run.make_answers(progress.catalog)
        if progress.tasks.plan is None:
            progress.tasks.adopt(await make_plan(progress, answers))
            take_over(progress)
            run.raise_if_cancelled()
        if progress.team.approve_plan and progress.status in BEFORE_WORK:
            await run.approval.decide_plan(PLAN_SUBJECT)
            run.raise_if_cancelled()
        if progress.status in BEFORE_WORK:
            progress.become(RunStatus.WORKING)
        runner = run.make_runner(answers)
        if progress.status is RunStatus.WORKING:
            await runner.run()
        if progress.status is not RunStatus.FINISHING:
            await review_plan(progress, answers, runner)
            run.raise_if_cancelled()
            progress.become(RunStatus.FINISHING)
        parts = await final_answer(progress, answers)
        progress.give_answer(joined(parts), parts)
