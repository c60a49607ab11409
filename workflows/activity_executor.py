"""Starts the activities of a run, and counts them."""

from typing import Any, TypeVar

from temporalio import workflow
from temporalio.types import MethodAsyncSingleParam

from workflows.policies import ActivityOptions

P = TypeVar("P")
R = TypeVar("R")


class ActivityExecutor:
    """The only way from the workflow to an activity, except for the local one (the catalog)."""

    def __init__(self) -> None:
        self.commands_issued = 0
        """Counted activities so far. The publisher compares it between two workflow tasks: one that
        starts an activity has a command, and needs no memo (docs/adr/016)."""

    async def execute(
        self,
        activity: MethodAsyncSingleParam[Any, P, R],
        argument: P,
        options: ActivityOptions,
        *,
        summary: str,
    ) -> R:
        """The activity's result. Counts it in the same step in which its command is issued."""
        self.commands_issued += 1
        return await self.execute_uncounted(activity, argument, options, summary=summary)

    async def execute_uncounted(
        self,
        activity: MethodAsyncSingleParam[Any, P, R],
        argument: P,
        options: ActivityOptions,
        *,
        summary: str,
    ) -> R:
        """For limits and notifications: a workflow task that starts only these writes the memo as
        well, and has to do so when it is replayed."""
        return await workflow.execute_activity_method(
            activity, argument, **options, summary=summary
        )
