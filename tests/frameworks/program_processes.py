"""The processes of programs on this machine, found by their environment."""

import os
import signal
from pathlib import Path


def programs(tickets: Path) -> list[int]:
    """The pids of programs that have a scope, and these `TICKETS`. Without their supervisors."""
    mark = f"TICKETS={tickets}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes()
        except OSError:  # it has ended, or is another user's
            continue
        scoped = any(each.startswith(b"AGENT_SCOPE=") for each in variables)
        if scoped and mark in variables and b"supervisor.py" not in command:
            found.append(int(folder.name))
    return sorted(found)


def kill(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
