"""The state of the local stack on this machine: `.data/stack.json`, verified against the processes.

A recorded process is alive only if both its pid and its start time match, since pids are reused.
The module is here and not in `local_stack` because settings read it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dotenv import dotenv_values

LOCAL_ENV = "local.env"
STATE = "stack.json"


@dataclass(frozen=True)
class Started:
    """One process: its pid, and its start time as the operating system reports it."""

    pid: int
    started: str

    def alive(self) -> bool:
        return self.started != "" and start_time(self.pid) == self.started


@dataclass(frozen=True)
class StackInfo:
    """The addresses of the local stack's parts. Pids change, so they are read each time."""

    folder: Path
    temporal_address: str
    ui_url: str
    gateway_url: str
    supervisor: Started
    ready: bool
    processes: dict[str, Started] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """Environment variables for child processes that use this stack: addresses and secrets."""
        values = {k: v for k, v in dotenv_values(self.folder / LOCAL_ENV).items() if v}
        return {**values, "DATA_DIR": str(self.folder)}

    @property
    def worker_pid(self) -> int | None:
        return self.pid("worker")

    def pid(self, name: str) -> int | None:
        """The current pid of `temporal`, `gateway` or `worker`; None while it is down."""
        info = read_state(self.folder)
        process = info.processes.get(name) if info else None
        return process.pid if process and process.alive() else None


def data_dir(values: Mapping[str, str], root: Path) -> Path:
    """The stack's folder: setting DATA_DIR, relative to the project; `.data` by default."""
    return (root / values.get("DATA_DIR", ".data")).resolve()


def start_time(pid: int) -> str:
    """When a process started, in the system's own format; empty if it has ended or is a zombie."""
    if sys.platform != "linux":
        command = ["ps", "-o", "lstart=,stat=", "-p", str(pid)]
        line = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
        return "" if not line or line[-1].startswith("Z") else " ".join(line[:-1])
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def this_process() -> Started:
    return Started(os.getpid(), start_time(os.getpid()))


def write_state(info: StackInfo) -> None:
    """Replaces the state file atomically, so that a reader never sees half of it."""
    path = info.folder / STATE
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps({**asdict(info), "folder": str(info.folder)}, indent=1))
    fresh.replace(path)


def read_state(folder: Path) -> StackInfo | None:
    """The state last written, which may be outdated; None if there is none or it is unreadable."""
    try:
        raw = json.loads((folder / STATE).read_text())
        processes = {name: Started(**one) for name, one in raw.pop("processes").items()}
        supervisor = Started(**raw.pop("supervisor"))
        return StackInfo(**{**raw, "folder": folder}, processes=processes, supervisor=supervisor)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def read_running(folder: Path) -> StackInfo | None:
    """The stack that is up and ready, or None; the file of a killed stack does not count."""
    info = read_state(folder)
    return info if info and info.ready and info.supervisor.alive() else None
