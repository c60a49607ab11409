"""Passes the team's name to a run's activities in a header, as a label for metrics."""

from collections.abc import Callable, Mapping
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import SearchAttributeKey
from temporalio.converter import PayloadConverter
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    Interceptor,
    StartActivityInput,
    StartLocalActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from durable_agent_team.contracts.names import ATTRIBUTE_TEAM
from durable_agent_team.contracts.telemetry_labels import LABELS, TEAM, TEAM_HEADER, UNKNOWN

MAX_NAME = 100
KEY = SearchAttributeKey.for_keyword(ATTRIBUTE_TEAM)


class TeamLabel(Interceptor):
    """Calls `left` with the run id of each workflow that ended or left this worker's cache."""

    def __init__(self, left: Callable[[str], None]) -> None:
        self._left = left

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Activity(next)

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        class Inbound(_Workflow):
            left = staticmethod(self._left)

        return Inbound


class _Workflow(WorkflowInboundInterceptor):
    left: Callable[[str], None]
    _team = UNKNOWN

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        self.next.init(_Outbound(outbound, lambda: self._team))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        info = workflow.info()
        # An execution that continues another one starts with its state, not with a request.
        self._team = team_name(input.args, info.typed_search_attributes.get(KEY, UNKNOWN))
        run_id = info.run_id
        try:
            return await self.next.execute_workflow(input)
        finally:
            self.left(run_id)


class _Outbound(WorkflowOutboundInterceptor):
    def __init__(self, next: WorkflowOutboundInterceptor, team: Callable[[], str]) -> None:
        super().__init__(next)
        self._team = team

    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        input.headers = self._with_team(input.headers)
        return self.next.start_activity(input)

    def start_local_activity(self, input: StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        input.headers = self._with_team(input.headers)
        return self.next.start_local_activity(input)

    def _with_team(self, headers: Mapping[str, Payload]) -> dict[str, Payload]:
        return {**headers, TEAM_HEADER: PayloadConverter.default.to_payload(self._team())}


class _Activity(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        payload = input.headers.get(TEAM_HEADER)
        if payload is not None:
            LABELS.set({TEAM: str(PayloadConverter.default.from_payload(payload))[:MAX_NAME]})
        return await self.next.execute_activity(input)


def team_name(args: Any, otherwise: str = UNKNOWN) -> str:
    """The team's name in a start input that has not been validated yet."""
    request = args[0] if args else None
    team = request.get("team") if isinstance(request, dict) else None
    name = team.get("name") if isinstance(team, dict) else None
    return name[:MAX_NAME] if isinstance(name, str) else otherwise
