"""What `once` raises, and how a program ends whose effect is unknown.

Standard library only, Python 3.10 or newer, as everything in this package.
"""

import json
import os
import sys
import threading
from pathlib import Path

REPORT = "AGENT_REPORT"
"""Names the file in which the worker finds an unknown effect, whatever the program did with its
exception."""
EXIT_UNKNOWN = 75
"""EX_TEMPFAIL of sysexits.h. The worker parks the task, and a person decides."""

_reporting = threading.Lock()


class EffectUnknown(SystemExit):
    """An attempt began this call and never said what became of it: it may have happened, and only a
    person can decide about it. It ends the program with exit code 75.

    A `SystemExit`, because frameworks give every `Exception` of a tool to the model, which would go
    on without an answer or try another tool. A tool can raise it itself, with a text, if it does
    not know what it has done.
    """

    def __init__(
        self, message: str = "", *, effect: str = "", tool: str = "", attempt: int = 0
    ) -> None:
        super().__init__(EXIT_UNKNOWN)
        self.message = message
        self.effect = effect
        self.tool = tool
        self.attempt = attempt

    def __str__(self) -> str:
        return self.message


class AttemptSuperseded(SystemExit):
    """A later attempt of this work has begun, so this program ends, with exit code 1."""

    def __init__(self, message: str) -> None:
        super().__init__(1)
        self.message = message

    def __str__(self) -> str:
        return self.message


class EffectSkipped(Exception):
    """A person decided that this call is not made."""


class ToolFailedBefore(Exception):
    """The tool raised an exception in an earlier attempt, and is not run again.

    It has that exception's text, and its `repr`, so that what a framework gives to the model is the
    same as then, and the model's next answer is replayed instead of paid. It has not its class,
    whose constructor may need what was not kept.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        """The name of that exception's class."""

    def __repr__(self) -> str:
        return f"{self.kind}({self.args[0]!r})"


class ResultNotKept(ValueError):
    """The tool ran, but its result is too large, so the next attempt would not get it."""


class EffectRefused(RuntimeError):
    """The gateway refused to begin the call, so the tool did not run. `code` is the gateway's."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class EffectsUnavailable(RuntimeError):
    """The gateway could not be asked, so the tool did not run."""


class OutsideOfTeam(RuntimeError):
    """`once(strict=True)` where no team keeps the effects, or some of its variables are missing."""


def report_unknown(error: EffectUnknown) -> None:
    """Writes the unknown effect for the worker (the first one counts), and a line to standard
    error. The exception may be swallowed; this stays."""
    what = {"effect": error.effect, "tool": error.tool, "attempt": error.attempt}
    line = json.dumps({"effect_unknown": what})
    print(f"{error}\n{line}", file=sys.stderr, flush=True)
    path = os.environ.get(REPORT)
    if not path:
        return
    with _reporting:
        try:
            if not os.path.exists(path):
                unfinished = Path(f"{path}.{os.getpid()}.tmp")
                unfinished.write_text(line + "\n", encoding="utf-8")
                os.replace(unfinished, path)
        except OSError as problem:
            print(f"{REPORT} {path} cannot be written: {problem}", file=sys.stderr, flush=True)
