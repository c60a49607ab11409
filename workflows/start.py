"""What an execution of the workflow starts with: a request, or a run's state so far."""

from dataclasses import dataclass
from typing import Any

from temporalio import workflow

from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import Failure, RunRequest
from durable_agent_team.contracts.run_snapshot import RunSnapshot
from durable_agent_team.rules.value_limits import START
from workflows.closing import run_error
from workflows.messages import BadMessage, parse
from workflows.state.progress import Progress
from workflows.state.snapshot import UnreadableSnapshot, progress_of


@dataclass(frozen=True)
class Beginning:
    """The state to begin with; `problem` where the start input is wrong."""

    progress: Progress
    problem: Exception | None = None

    def raise_if_wrong(self) -> None:
        if self.problem is not None:
            raise self.problem


def begin(payload: Any, extra: tuple[Any, ...]) -> Beginning:
    """Never raises: the workflow's `__init__` must not.

    The state of a run counts only in an execution that another one was continued as. Otherwise its
    keys are invalid keys of a request: no one can start a run with a forged state.
    """
    info = workflow.info()
    progress = Progress(info.workflow_id, info.start_time)
    try:
        if _is_continued(info) and isinstance(payload, dict) and "state" in payload:
            snapshot = parse(RunSnapshot, payload, extra, START)
            return Beginning(progress_of(snapshot))
        progress.request = parse(RunRequest, payload, extra, START)
    except BadMessage as bad:
        progress.failure = Failure(type=ErrorType.INVALID_INPUT, message=str(bad))
        progress.become(progress.ending())
        return Beginning(progress, run_error(ErrorType.INVALID_INPUT, str(bad)))
    except UnreadableSnapshot as unreadable:
        return Beginning(progress, unreadable)
    return Beginning(progress)


def _is_continued(info: workflow.Info) -> bool:
    """By the workflow's own command. Temporal also continues executions of a cron schedule or with
    a retry policy, with the start input of the one before."""
    continued = info.continued_run_id is not None
    return continued and not info.cron_schedule and info.retry_policy is None
