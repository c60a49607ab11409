"""The command line as this process was called, for messages that name a command to run.

A printed command must work when it is pasted into the same shell: `python starter.py state brief`
for somebody who typed that, `durable-agent-team state brief` for somebody who typed that.
"""

import hashlib
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from durable_agent_team.contracts import names
from durable_agent_team.rules.safe_text import shell_command, shell_word

_SCRIPT: Final = "starter.py"
_INSTALLED: Final = "durable-agent-team"
_OF_A_RUN: Final = re.compile(rf"(^|`)(?:\.venv/bin/python starter\.py|{_INSTALLED}) (?=[a-z])")
"""A command that a worker wrote, which may be installed otherwise than this process."""
_PLAIN_ID: Final = re.compile(r"\w[\w.:/@+=,-]{0,199}")
"""Of a run, such that a longer id that begins with it can be an `--id`, too."""


def starter_program() -> str:
    """The command line as it was typed; in any other process, as the documentation writes it."""
    return _as_typed(sys.argv, sys.orig_argv) or names.STARTER


def starter_command(
    command: str, *arguments: str, options: Sequence[str] = (), last: Sequence[str] = ()
) -> str:
    """A command of this program, to be pasted into a shell. `options` go before the arguments,
    which may look like options themselves; `last` after them, where they do not."""
    words = " ".join([command, *map(shell_word, options)])
    return shell_command(starter_program(), words, *arguments, last=last)


def rerun_command(run: str, *options: str) -> str:
    """The command that continues a run which has ended. It names the new run, always the same, so
    that Temporal refuses the second start where it is pasted twice."""
    is_plain = _PLAIN_ID.fullmatch(run)
    new = f"{run}-rerun" if is_plain else f"rerun-{hashlib.sha256(run.encode()).hexdigest()[:16]}"
    return starter_command("rerun", run, last=["--id", new, *options])


def as_called(text: str) -> str:
    """A text of a run with the program of this process: a command, or commands in backquotes."""
    program = starter_program()
    return _OF_A_RUN.sub(lambda found: f"{found[1]}{program} ", text)


def temporal_program() -> str:
    """Temporal's own command line. `make install` puts it next to Python, not on the PATH."""
    beside = Path(sys.executable).with_name("temporal")
    if shutil.which("temporal") is None and beside.is_file():
        return shell_word(str(beside))
    return "temporal"


def _as_typed(argv: Sequence[str], typed: Sequence[str]) -> str | None:
    """`typed` is the process's whole command line, with the interpreter. None for a process that is
    not the command line."""
    script = argv[0] if argv else ""
    name = Path(script).name
    if name in (_INSTALLED, f"{_INSTALLED}.exe"):
        return _INSTALLED if shutil.which(_INSTALLED) == script else shell_word(script)
    if name != _SCRIPT or script not in typed:
        return None
    return shlex.join(typed[: list(typed).index(script) + 1])
