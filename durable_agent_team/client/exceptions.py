"""The errors of the client: a type for each, and the translation from Temporal's errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.client import WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from durable_agent_team.blobs.store import BlobError
from durable_agent_team.client.connection import ServiceUnavailable
from durable_agent_team.contracts import names
from durable_agent_team.process.called_program import starter_command, temporal_program
from durable_agent_team.process.project_root import START_STACK, START_WORKER
from durable_agent_team.rules.safe_text import shell_command

MISSING_ATTRIBUTES = (
    f"{temporal_program()} operator search-attribute create"
    f" --name {names.ATTRIBUTE_TEAM} --type Keyword"
    f" --name {names.ATTRIBUTE_STATUS} --type Keyword"
    f" --name {names.ATTRIBUTE_SPENT} --type Double"
)


class RunError(Exception):
    """Base class. The text says what happened, to which run, and what to do."""


class RunNotFound(RunError):
    """No run has this id, or it belongs to a workflow of another type."""

    def __init__(self, run: str, what: str = "no such run") -> None:
        super().__init__(f"run {run}: {what}; `{starter_command('list')}` shows the runs there are")
        self.run = run


class RunIdTaken(RunError):
    """Another run has this id. An id is not free again when its run has ended."""

    def __init__(self, run: str) -> None:
        super().__init__(
            f"run id {run}: already taken by another run (`{starter_command('state', run)}` shows"
            " it); choose another id, or leave it out"
        )
        self.run = run


class StartNotConfirmed(ServiceUnavailable):
    """Temporal did not confirm a start in time: the run may have started."""

    def __init__(self, run: str) -> None:
        state = starter_command("state", run)
        super().__init__(
            f"run {run}: Temporal did not confirm its start, so it may be running; once Temporal"
            f" answers, `{state}` shows whether it is. Start it again only with"
            f" `{shell_command('--id', run)}`: Temporal refuses a second run of this id, so nothing"
            " is paid twice"
        )
        self.run = run


class RunClosed(RunError):
    """The run has ended, so it takes no signals and updates any more."""

    def __init__(self, run: str) -> None:
        super().__init__(f"run {run}: it has ended; `{starter_command('result', run)}` shows how")
        self.run = run


class UpdateRefused(RunError):
    """The run, or the service, refused the message, or a value is wrong and nothing was sent. The
    text has the reason."""


class NoWorker(RunError):
    """Temporal answers, but no worker on the task queue does."""

    def __init__(self, run: str, what: str = "no worker answered in time") -> None:
        super().__init__(
            f"run {run}: {what}; is a worker running on task queue `{names.TASK_QUEUE}`?"
            f" `{START_STACK}` starts one, and so does `{START_WORKER}`; one that is busy answers"
            " later: try again"
        )
        self.run = run


class CannotContinue(NoWorker):
    """A worker answers, but fails in the run's code; the run waits for a compatible worker."""

    def __init__(self, run: str, what: str) -> None:
        RunError.__init__(
            self,
            f"run {run}: its worker cannot continue it ({what}); the worker's log says why, and the"
            " run continues once a worker with compatible code starts",
        )
        self.run = run


class NotConfirmed(NoWorker):
    """A worker accepted the update, but the account provider has not confirmed it yet."""

    def __init__(self, run: str, what: str) -> None:
        RunError.__init__(
            self,
            f"run {run}: it has accepted {what}, but could not carry it out yet, and keeps trying;"
            " does the gateway answer? `state` and `spend` show what is in force",
        )
        self.run = run


class SentAsSignal(RunError):
    """The run has had as many updates as Temporal allows, so the command went as a signal.

    Nothing refused it within a moment; there is no answer.
    """

    def __init__(self, run: str, what: str) -> None:
        super().__init__(
            f"run {run}: Temporal takes no more updates for it, so {what} went as the signal"
            " `adjust`, which has no answer; `state` and `spend` show what is in force"
        )
        self.run = run


class RunRefused(RunError):
    """The run ended at once, because its input was wrong. No account was opened, nothing spent."""


class TextsUnavailable(RunError):
    """A large text of the run could not be stored or read. The text says where, and what to do."""


class RerunRefused(RunError):
    """No run can continue from this one as asked. Nothing was started; the text has the reason."""


class RunAborted(RunError):
    """The run ended without a report: terminated, timed out, or by an unknown failure."""


_SILENT = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
}


def is_out_of_updates(error: RPCError) -> bool:
    """Whether the run has had all the updates that Temporal allows (2,000 by default)."""
    full = "limit on the total number of distinct updates"
    return error.status == RPCStatusCode.FAILED_PRECONDITION and full in error.message


def is_between_executions(error: RPCError) -> bool:
    """Whether a workflow task has failed with the update in it: as it does when the run wanted to
    continue as new, and has to look at the update first."""
    failed = "unexpected workflow task failure"
    return error.status == RPCStatusCode.FAILED_PRECONDITION and failed in error.message


def is_silence(error: RPCError) -> bool:
    """Whether nothing answered, as opposed to a refusal."""
    return error.status in _SILENT


def silent(what: str) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"Temporal does not answer ({what[:200]}): start it with `{START_STACK}`,"
        " or set TEMPORAL_ADDRESS to where it is; one that is busy answers later: try again"
    )


def translate(error: RPCError, run: str) -> RunError | ServiceUnavailable:
    """A gRPC status as an error of the client; an unknown one quotes the server's message."""
    if is_silence(error):
        return silent(error.message)
    if error.status == RPCStatusCode.NOT_FOUND:
        if "already completed" in error.message:
            return RunClosed(run)
        if "namespace" in error.message.lower():
            return ServiceUnavailable(f"{error.message}: check TEMPORAL_NAMESPACE", final=True)
        return RunNotFound(run)
    if error.status == RPCStatusCode.FAILED_PRECONDITION:
        if "in failed state" in error.message:
            return CannotContinue(run, error.message[:200].rstrip("."))
        if "closed before" in error.message:
            return RunAborted(
                f"run {run}: Temporal ended it before it began, so nothing was opened or spent"
            )
        return NoWorker(run, f"no worker answers ({error.message[:200]})")
    if error.status == RPCStatusCode.INVALID_ARGUMENT and "search attribute" in error.message:
        return UpdateRefused(f"{error.message}; register it with `{MISSING_ATTRIBUTES}`")
    return UpdateRefused(f"run {run}: the service said {error.status.name}: {error.message}")


@contextmanager
def translated(run: str) -> Iterator[None]:
    """Turns Temporal's errors in this block into a `RunError` or `ServiceUnavailable`."""
    try:
        yield
    except RPCError as error:
        raise translate(error, run) from error
    except BlobError as error:
        raise TextsUnavailable(f"run {run}: {error}") from error
    except TimeoutError as error:
        raise silent("no answer in time") from error
    except WorkflowQueryFailedError as error:
        if "not found" in str(error) and "query handler" in str(error).lower():
            raise RunNotFound(run, f"this is not an `{names.WORKFLOW}` workflow") from error
        if "TMPRL1100" in str(error):  # Temporal's code for nondeterminism
            raise CannotContinue(run, "its code does not fit the run's history") from error
        if str(error) == "Failed decoding arguments":  # the SDK's words
            raise CannotContinue(run, "a newer worker has written what it cannot read") from error
        raise UpdateRefused(f"run {run}: {error}") from error
