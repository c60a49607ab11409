"""What each agent's tools are: listed once in a run, and frozen for it."""

import asyncio

from temporalio.exceptions import ActivityError, ApplicationError

from durable_agent_team.contracts.activity_interfaces import ToolActivities
from durable_agent_team.contracts.error_types import ERRORS, ErrorType, Outcome
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.team import Agent
from durable_agent_team.contracts.tool_box import ToolBox
from durable_agent_team.contracts.tool_call import ListTools
from durable_agent_team.contracts.tool_kinds import ServerTools
from workflows.activity_executor import ActivityExecutor
from workflows.people.parking import Parking
from workflows.policies import listing_options
from workflows.state.open_call import OpenCall
from workflows.state.progress import Progress
from workflows.task_exceptions import was_cancelled
from workflows.tasks.assignments import with_current_settings
from workflows.tasks.call_requests import Assignment


class ToolBoxes:
    """The tools of the run's agents. They are in `Progress.tool_boxes` once they were listed."""

    def __init__(self, progress: Progress, activities: ActivityExecutor, parking: Parking) -> None:
        self._progress = progress
        self._activities = activities
        self._parking = parking
        self._locks: dict[str, asyncio.Lock] = {}

    async def ensure(self, assignment: Assignment, call: OpenCall) -> ToolBox:
        """The agent's tools. Where they cannot be listed the task parks, and tries again when it is
        woken. Raises TaskFailed, TaskSkipped, and CancelledError in a run that starts nothing
        new."""
        agent = assignment.agent
        while agent not in self._progress.tool_boxes:
            failure = call.parked_after  # since an earlier execution of the run
            if failure is None:
                async with self._locks.setdefault(agent, asyncio.Lock()):
                    failure = await self._listed(assignment)
            if failure is not None:
                caller = with_current_settings(self._progress, assignment).caller
                account = self._progress.accounts[agent]
                await self._parking.park(assignment.subject, caller, account, failure)
        return self._progress.tool_boxes[agent]

    async def _listed(self, assignment: Assignment) -> Failure | None:
        """Returns why they could not be listed; None where they are now, or where no worker has
        listed them to the end, since it was shut down."""
        agent = assignment.agent
        if agent in self._progress.tool_boxes:
            return None
        if self._progress.stopping or was_cancelled():
            raise asyncio.CancelledError
        caller = assignment.caller
        assert isinstance(caller, Agent)
        wanted = self._wanted(agent, caller)
        try:
            box: ToolBox = await self._activities.execute(
                ToolActivities.list_tools,
                wanted,
                listing_options([each.connect_seconds for each in wanted.servers.values()]),
                summary=f"{agent} · tools",
            )
        except ActivityError as error:
            if was_cancelled():
                raise asyncio.CancelledError from None
            cause = error.__cause__
            if isinstance(cause, ApplicationError) and cause.type == ErrorType.WORKER_LOST:
                return None
            return _failure(error)
        self._progress.tool_boxes[agent] = box
        return None

    def _wanted(self, agent: str, caller: Agent) -> ListTools:
        servers = self._progress.team.tool_servers
        used = [each.server for each in caller.tools if isinstance(each, ServerTools)]
        return ListTools(
            agent=agent,
            tools=caller.tools,
            servers={name: servers[name] for name in dict.fromkeys(used)},
            documents=tuple(self._progress.sources),
        )


PARKING = frozenset(each.value for each, rule in ERRORS.items() if rule.outcome is Outcome.PARKS)


def _failure(error: ActivityError) -> Failure:
    """Whatever the reason, somebody has to correct the team file, a server, or the worker."""
    cause = error.__cause__
    if not isinstance(cause, ApplicationError):
        message = "the agent's tools could not be listed in time"
        return Failure(type=ErrorType.TOOL_UNAVAILABLE, message=message)
    kind = cause.type if cause.type in PARKING else ErrorType.TOOL_UNAVAILABLE
    return Failure(type=kind, message=cause.message[:2000])
