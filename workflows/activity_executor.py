"""Starts the activities of a run, and counts them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception
from temporalio.types import MethodAsyncSingleParam

from durable_agent_team.rules.encoded_size import encoded_bytes
from workflows.activity_errors import is_final
from workflows.command_turns import CommandTurns
from workflows.policies import ActivityOptions, local_options, look_options
from workflows.start_memo import has_newest_format

P = TypeVar("P")
R = TypeVar("R")


class ActivityExecutor:
    """The only way from the workflow to an activity, except for the catalog's in runs of format 1.

    Starts activities in the order in which they are asked for, in one workflow task only as many
    as one message to the server carries. Raises `NotIssued` for one that is cancelled before.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._turns = CommandTurns(changed)
        self.counts_all = has_newest_format()
        """In a run of format 1, some commands are not counted: those who mark its workflow tasks
        must not know of them when it is replayed (`state/task_marks.py`)."""
        self.commands_issued = 0
        """Only those of activities that are counted."""
        self.last_command_at = 0
        """The length of the history in the workflow task that has the last of them. The command of
        a local activity is its marker: those that are counted end before their workflow task does,
        also when they are cancelled, and no query ends it before (docs/adr/051)."""

    def has_room_for(self, payload_bytes: int) -> bool:
        """Whether a command of this size may be issued now; another one than for an activity."""
        return self._turns.has_room_for(payload_bytes)

    async def execute(
        self,
        activity: MethodAsyncSingleParam[Any, P, R],
        argument: P,
        options: ActivityOptions,
        *,
        summary: str,
    ) -> R:
        """The activity's result. Counts it in the same step in which its command is issued."""
        return await self._issue(activity, argument, options, summary, counted=True)

    async def execute_locally(
        self,
        activity: MethodAsyncSingleParam[Any, P, R],
        argument: P,
        options: ActivityOptions,
        *,
        summary: str,
    ) -> R:
        """By a local activity, which passes the server once. One that is not done after a moment
        becomes a regular activity with these options: it outlasts an outage, and a workflow task
        does not have to. The activity must be idempotent."""
        self._count()
        try:
            result = await workflow.execute_local_activity_method(
                activity, argument, **local_options(), summary=summary
            )
        except FailureError as error:  # the SDK puts no ActivityError around it
            if is_cancelled_exception(error) or is_final(error):
                raise
            return await self.execute(activity, argument, options, summary=summary)
        self._turns.count(encoded_bytes(result))
        return result

    async def execute_quickly(
        self,
        activity: MethodAsyncSingleParam[Any, P, R],
        argument: P,
        options: ActivityOptions,
        *,
        summary: str,
        too_slow: Callable[[], None],
    ) -> R:
        """As `execute`, where the first attempt is a local activity: a quick one passes the server
        once, and its argument is not in the history. Calls `too_slow` where it takes seconds. The
        activity must be idempotent. Raises FailureError."""
        try:
            return await self.look(activity, argument, summary=summary)
        except FailureError as error:  # the SDK puts no ActivityError around it
            if is_cancelled_exception(error) or is_final(error):
                raise
            if not isinstance(error, ApplicationError):
                too_slow()
            left = options["retry_policy"].maximum_attempts - isinstance(error, ApplicationError)
            if left < 1:
                raise
            policy = replace(options["retry_policy"], maximum_attempts=left)
            again: ActivityOptions = {**options, "retry_policy": policy}
            return await self.execute(activity, argument, again, summary=summary)

    async def look(
        self,
        activity: MethodAsyncSingleParam[Any, P, R],
        argument: P,
        *,
        summary: str,
    ) -> R:
        """One attempt of a local activity. Raises FailureError."""
        self._count()
        result = await workflow.execute_local_activity_method(
            activity, argument, **look_options(), summary=summary
        )
        self._turns.count(encoded_bytes(result))
        return result

    async def execute_uncounted(
        self,
        activity: MethodAsyncSingleParam[Any, P, R],
        argument: P,
        options: ActivityOptions,
        *,
        summary: str,
    ) -> R:
        """For limits and notifications: `execute`, uncounted in a run of format 1."""
        return await self._issue(activity, argument, options, summary, counted=False)

    async def _issue(
        self,
        activity: MethodAsyncSingleParam[Any, P, R],
        argument: P,
        options: ActivityOptions,
        summary: str,
        *,
        counted: bool,
    ) -> R:
        await self._turns.take(encoded_bytes(argument))
        if counted or self.counts_all:
            self._count()
        return await workflow.execute_activity_method(
            activity, argument, **options, summary=summary
        )

    def _count(self) -> None:
        self.commands_issued += 1
        self.last_command_at = workflow.info().get_current_history_length()
