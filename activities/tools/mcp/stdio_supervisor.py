"""The process between a worker and an MCP server that it starts.

A script of its own, standard library only, started as

    python -I -S stdio_supervisor.py WORKER DIRECTORY COMMAND...

with the server's environment, and with pipes to the worker as standard input and output, which the
server inherits. When the worker is killed (PR_SET_PDEATHSIG), when it sends SIGTERM, and when the
server ends, everything that the server has started is killed: `npx` runs a shell, and the shell the
server, so that a signal to the command alone would leave a call in flight to run to its end.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    # -I leaves out the directory that the packages are in.
    sys.path.append(str(Path(__file__).resolve().parents[3]))

from activities.programs.supervisor import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_PDEATHSIG,
    kill_descendants,
    prctl,
    start,
)

NOT_STARTED = 127


def reap() -> None:
    """Reaps whatever has ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end_everything(*_: object) -> None:
    kill_descendants(reap)
    reap()
    os._exit(0)


def main() -> int:
    worker, directory, *command = sys.argv[1:]
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, end_everything)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which sends SIGTERM
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(worker):
        return NOT_STARTED
    try:
        server = start(command, directory, 1, 2)
    except OSError as error:
        print(f"{error.filename or command[0]}: {error.strerror}", file=sys.stderr)
        return NOT_STARTED
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == server:
            kill_descendants(reap)
            reap()
            return max(os.waitstatus_to_exitcode(status), 0)


if __name__ == "__main__":
    sys.exit(main())
