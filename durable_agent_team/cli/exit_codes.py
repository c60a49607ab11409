"""The exit codes of the commands, and the error that ends a command with one of them."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Part of the public interface."""

    DONE = 0
    RUN_FAILED = 1
    """The run failed or was cancelled."""
    INVALID_INPUT = 2
    """Also an unknown run, a taken id, and a message that the run refused."""
    NO_ANSWER = 3
    """The service, or a worker, does not answer."""
    BUG = 70
    """An error of the command's own; the trace is on standard error."""
    INTERRUPTED = 130


class CommandError(Exception):
    """Ends a command with this exit code and this text on standard error."""

    def __init__(self, code: ExitCode, text: str) -> None:
        super().__init__(text)
        self.code = code


HELP = (
    "Exit codes: 0 done; 1 the run failed or was cancelled; 2 the input is wrong (also an unknown"
    " run or a taken id); 3 the service, or a worker, does not answer; 130 interrupted."
)
