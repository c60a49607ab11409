"""What can go wrong between a caller and a run: one type for each, and one translation."""

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.client import WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from durable_agent_team.client.connection import ServiceUnavailable
from durable_agent_team.contracts import names

MISSING_ATTRIBUTES = (
    f"temporal operator search-attribute create --name {names.ATTRIBUTE_TEAM} --type Keyword"
    f" --name {names.ATTRIBUTE_STATUS} --type Keyword"
    f" --name {names.ATTRIBUTE_SPENT} --type Double"
)


class RunError(Exception):
    """Base of them all. The text says what happened, to what, and what to do."""


class RunNotFound(RunError):
    """No run has this id, or what has it is no run of ours."""

    def __init__(self, run: str, what: str = "no such run") -> None:
        super().__init__(f"run {run}: {what}; `starter.py list` shows the runs there are")
        self.run = run


class RunIdTaken(RunError):
    """An id names one run, also after that run has ended."""

    def __init__(self, run: str) -> None:
        super().__init__(
            f"run id {run}: already taken by another run; choose another id, or leave it out"
        )
        self.run = run


class RunClosed(RunError):
    """The run has ended, so it cannot be told anything any more."""

    def __init__(self, run: str) -> None:
        super().__init__(f"run {run}: it has ended; `starter.py result {run}` shows how")
        self.run = run


class UpdateRefused(RunError):
    """The run, or the service, understood the message and said no."""


class NoWorker(RunError):
    """The service is there, but nobody works on its task queue."""

    def __init__(self, run: str, what: str = "no worker answered") -> None:
        super().__init__(
            f"run {run}: {what}; is a worker running on task queue `{names.TASK_QUEUE}`?"
            " `make up` starts one, and so does `python worker.py`"
        )
        self.run = run


class CannotGoOn(NoWorker):
    """A worker is there, but the run's code fails in it: it waits for another worker's code."""

    def __init__(self, run: str, what: str) -> None:
        RunError.__init__(
            self,
            f"run {run}: its worker cannot carry it on ({what}); the worker's log says why, and the"
            " run goes on by itself once a worker with code that fits is started",
        )
        self.run = run


class NotConfirmed(NoWorker):
    """A worker took it, and what it then asked of the account provider has no answer yet."""

    def __init__(self, run: str, what: str) -> None:
        RunError.__init__(
            self,
            f"run {run}: it has taken {what}, but could not carry it out yet, and goes on trying;"
            " does the gateway answer? `state` and `spend` show what holds",
        )
        self.run = run


class RunRefused(RunError):
    """The run ended at once, because its input was wrong. Nothing was opened or spent."""


class RunAborted(RunError):
    """The run ended without a report: terminated, timed out, or by an unknown failure."""


_SILENT = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
}


def is_silence(error: RPCError) -> bool:
    """Nobody answered, as opposed to: somebody said no."""
    return error.status in _SILENT


def silent(what: str) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"Temporal does not answer ({what[:200]}): start it with `make up`,"
        " or set TEMPORAL_ADDRESS to where it is"
    )


def translate(error: RPCError, run: str) -> RunError | ServiceUnavailable:
    """A gRPC status as one of our errors; what is not recognised says what the server said."""
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
            return CannotGoOn(run, error.message[:200].rstrip("."))
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
    """What Temporal raises in this block leaves it as a `RunError` or `ServiceUnavailable`."""
    try:
        yield
    except RPCError as error:
        raise translate(error, run) from error
    except TimeoutError as error:
        raise silent("no answer in time") from error
    except WorkflowQueryFailedError as error:
        if "not found" in str(error) and "query handler" in str(error).lower():
            raise RunNotFound(run, f"this is no `{names.WORKFLOW}` workflow") from error
        if "TMPRL1100" in str(error):  # Temporal's own: this worker's code made no such history
            raise CannotGoOn(run, "its code does not fit the run's history") from error
        raise UpdateRefused(f"run {run}: {error}") from error
