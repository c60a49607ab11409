"""Commands without the start of an interpreter: a server forks them after everything is imported.

Each command is still a process of its own, with its own arguments, environment, folder, standard
streams and exit code. What it does not test is how Python starts and what `starter.py`, the
gateway or the worker imports; `tests/cli/test_exit_codes.py`, `tests/cli/test_mcp.py`,
`tests/gateway/test_crash.py`, `tests/process/test_worker.py` and the end-to-end tests run the
programs themselves.
"""

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
_servers: list[subprocess.Popen[bytes]] = []


def warm_starter() -> list[str]:
    """The words to type in place of `python starter.py`."""
    return warm_command("starter.py")


def warm_command(program: str) -> list[str]:
    """The words to type for a program of `warm_server`."""
    return [sys.executable, "-I", "-S", str(HERE / "command.py"), warm_server(program)]


@cache
def warm_server(program: str) -> str:
    """The address of a server for one of its `PROGRAMS`. It ends with this process."""
    address = f"{tempfile.mkdtemp(prefix='warm')}/commands"
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm.server", address, program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    _servers.append(server)  # its standard input stays open as long as this process lives
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return address
