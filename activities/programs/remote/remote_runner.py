"""Agents elsewhere, as one kind of program: `run: {a2a: URL}`."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Final

from temporalio import activity
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.programs.exceptions import ProgramError
from activities.programs.remote.conversation import Conversation
from activities.programs.remote.json_http import JsonHttp
from activities.programs.remote.remote_errors import (
    InputNeeded,
    RemoteFailed,
    RemoteUnavailable,
    RpcError,
)
from activities.programs.remote.remote_headers import remote_headers, secrets_in
from activities.programs.remote_progress import Progress
from activities.programs.runner import ProgramOutput, Scope
from activities.programs.secret_scrubber import SecretScrubber
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.program import ProgramCall
from durable_agent_team.contracts.program_kinds import RemoteRun
from durable_agent_team.rules.safe_text import terminal_text

DESCRIBE: Final = timedelta(seconds=4)
MAX_QUESTION: Final = 2_000
"""Characters of a question to a person, and of what an agent says when it fails."""


class RemoteRunner:
    """A `Runner`. One attempt: a conversation with the agent, within the time that there is."""

    def __init__(
        self,
        *,
        private_addresses: bool = True,
        environment: Mapping[str, str] = os.environ,
        goes_on: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self._private_addresses = private_addresses
        self._environment = environment
        self._goes_on = goes_on or _another_attempt_goes_on

    async def run(
        self, call: ProgramCall, scope: Scope, seconds: float, progress: Progress | None = None
    ) -> ProgramOutput:
        """The agent's answer. Raises `ProgramError`: `InputRequired` where it asks a person."""
        run = call.run
        assert isinstance(run, RemoteRun)
        headers = remote_headers(run, scope, call.call.model, self._environment)
        scrubber = SecretScrubber([scope.key.get_secret_value(), *secrets_in(headers)])
        progress = progress or Progress()
        async with JsonHttp(headers, private_addresses=self._private_addresses) as http:
            talk = Conversation(http, call, progress)
            try:
                answer, task_id = await self._within(talk, run, bool(headers), seconds)
            except (InputNeeded, RemoteFailed, RemoteUnavailable, RpcError, TimeoutError) as error:
                raise _program_error(error, scrubber, _task(call, progress), seconds) from None
        return ProgramOutput(scrubber.scrub(answer), remote_task=task_id)

    async def _within(
        self, talk: Conversation, run: RemoteRun, with_secrets: bool, seconds: float
    ) -> tuple[str, str | None]:
        """Raises TimeoutError, after the agent was told to cancel its task."""
        try:
            async with asyncio.timeout(seconds):
                await talk.discover(run.a2a, with_secrets=with_secrets)
                return await talk.answer()
        except TimeoutError:
            await talk.cancel()
            raise
        except asyncio.CancelledError:
            if not await self._goes_on():
                await asyncio.shield(talk.cancel())
            raise


async def _another_attempt_goes_on() -> bool:
    """Whether this attempt ends with its worker, or was given up, and not because the call is
    cancelled or its run has ended."""
    details = activity.cancellation_details() if activity.in_activity() else None
    if details is None or details.cancel_requested:
        return False
    return not details.not_found or await _is_still_wanted()


async def _is_still_wanted() -> bool:
    """Whether the run has the call of this attempt, which Temporal does not know any more: this
    worker may have stood still, and the next attempt follows the remote task already."""
    info = activity.info()
    handle = activity.client().get_workflow_handle(
        info.workflow_id or "", run_id=info.workflow_run_id
    )
    try:
        run = await handle.describe(rpc_timeout=DESCRIBE)
    except RPCError as error:
        return error.status is not RPCStatusCode.NOT_FOUND
    if run.status is WorkflowExecutionStatus.CONTINUED_AS_NEW:
        return True
    pending = run.raw_description.pending_activities
    return any(each.activity_id == info.activity_id for each in pending)


def _task(call: ProgramCall, progress: Progress) -> str | None:
    """The task that another execution continues."""
    now = progress.now
    return now.remote_task or (None if now.ended else call.remote_task)


def _program_error(
    error: Exception, scrubber: SecretScrubber, task: str | None, seconds: float
) -> ProgramError:
    text = cut(terminal_text(scrubber.scrub_message(str(error))), MAX_QUESTION)
    match error:
        case InputNeeded():
            return ProgramError(ErrorType.INPUT_REQUIRED, text, remote_task=task, final=True)
        case RemoteUnavailable():
            kind, final = ErrorType.UPSTREAM_UNAVAILABLE, False
        case RemoteFailed() | RpcError():
            kind, final = ErrorType.PROGRAM_FAILED, error.permanent
        case _:
            kind, final = ErrorType.PROGRAM_TIMEOUT, False
            text = f"it had not ended after {seconds:.0f} s"
    return ProgramError(kind, f"the remote agent: {text}", remote_task=task, final=final)
