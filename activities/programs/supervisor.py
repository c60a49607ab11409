"""The process between a worker and a program: it ends the program and everything that it started.

A script of its own (docs/adr/044), standard library only, started as

    python -I -S supervisor.py CONTROL SECONDS STDOUT_BYTES STDERR_BYTES DIRECTORY COMMAND...

with the program's environment and standard input. CONTROL is the number of a socket to the
worker. The program is killed when the worker says `stop`, when the socket closes because the worker
is gone, after SECONDS, and when it writes more than STDOUT_BYTES to standard output. What it
started is killed whenever the program ends: as a subreaper, this process inherits every orphan
below it, also one that has made a session of its own (prctl(2), PR_SET_CHILD_SUBREAPER). And if
this process itself is killed, the kernel kills the program (PR_SET_PDEATHSIG).

At the end the worker gets one line of JSON, and then the two outputs that it announces. They are
read here, so that no flood of output holds the worker.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
GRACE_SECONDS = 0.5
"""Between SIGTERM and SIGKILL. There is none once the worker is gone: another one may start the
program again."""
KILL_SECONDS = 30.0
"""For processes that the kernel cannot end at once, such as one that waits for a disk."""
CHUNK = 65_536
DRAIN_CHUNKS = 32
"""What is read after the end: more than a pipe holds."""
EXITED, STOPPED, TIMEOUT, FLOOD, WORKER_GONE, NOT_STARTED = (
    "exited",
    "stopped",
    "timeout",
    "flood",
    "worker gone",
    "not started",
)


class Output:
    """One output of the program: its beginning up to a limit, or its end."""

    def __init__(self, limit: int, *, keeps_end: bool) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.data = bytearray()
        self.is_open = True
        self.too_much = False
        self._limit = limit
        self._keeps_end = keeps_end

    def read(self) -> bool:
        """Reads what there is, at most one chunk; whether there may be more."""
        try:
            chunk = os.read(self.reader, CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            self.is_open = False
            return False
        self.data += chunk
        if len(self.data) > self._limit:
            self.too_much = True
            if self._keeps_end:
                del self.data[: -self._limit]
            else:
                del self.data[self._limit :]
        return True


class Supervisor:
    def __init__(self, control: socket.socket, seconds: float, out: Output, err: Output) -> None:
        self._control = control
        self._deadline = time.monotonic() + seconds
        self._out, self._err = out, err
        self._program = 0
        self._status: int | None = None
        self._why = EXITED
        self._kill_at: float | None = None
        self._woken, wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._end(STOPPED))

    def run(self, command: list[str], directory: str) -> None:
        try:
            self._program = start(command, directory, self._out.writer, self._err.writer)
        except OSError as error:
            where = f": {error.filename!r}" if error.filename else ""
            self._report({"why": NOT_STARTED, "reason": f"{error.strerror}{where}"})
            return
        finally:
            os.close(self._out.writer)
            os.close(self._err.writer)
        while self._status is None:
            self._wait()
            self._reap()
        kill_descendants(self._reap)
        for output in (self._out, self._err):
            for _ in range(DRAIN_CHUNKS):
                if not output.is_open or not output.read():
                    break
        if self._out.too_much and self._why == EXITED:
            self._why = FLOOD
        self._report({"why": self._why, "code": os.waitstatus_to_exitcode(self._status)})

    def _wait(self) -> None:
        """Until something happens: an output, a message of the worker, an end, a time limit."""
        readers: list[int] = [self._woken]
        if self._why != WORKER_GONE:
            readers.append(self._control.fileno())
        readers += [each.reader for each in (self._out, self._err) if each.is_open]
        limit = self._deadline if self._kill_at is None else self._kill_at
        ready = select.select(readers, [], [], max(limit - time.monotonic(), 0))[0]
        if self._woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, CHUNK)
        if self._control.fileno() in ready:
            self._end(STOPPED if self._control.recv(CHUNK) else WORKER_GONE)
        for output in (self._out, self._err):
            if output.reader in ready:
                output.read()
        if self._out.too_much:
            self._end(FLOOD)
        now = time.monotonic()
        if self._kill_at is None and now >= self._deadline:
            self._end(TIMEOUT)
        if self._kill_at is not None and now >= self._kill_at:
            kill(self._program, signal.SIGKILL)
            self._kill_at = now + 0.1

    def _end(self, why: str) -> None:
        """Begins to end the program: politely, if there is time for that."""
        if self._kill_at is not None and why != WORKER_GONE:
            return
        self._why = why
        at_once = why in (FLOOD, WORKER_GONE)
        self._kill_at = time.monotonic() + (0 if at_once else GRACE_SECONDS)
        if not at_once and self._program:
            kill(-self._program, signal.SIGTERM)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self._program:
                self._status = status

    def _report(self, ended: dict[str, object]) -> None:
        out, err = bytes(self._out.data), bytes(self._err.data)
        header = {**ended, "stdout": len(out), "stderr": len(err)}
        with contextlib.suppress(OSError):
            self._control.sendall(json.dumps(header).encode() + b"\n" + out + err)


def start(command: list[str], directory: str, out: int, err: int) -> int:
    """Starts the program in a session of its own. Raises the OSError of its `exec`."""
    parent, (failure, report) = os.getpid(), os.pipe()
    pid = os.fork()
    if not pid:
        try:
            _become(command, directory, out, err, parent)
        except OSError as error:
            said = {"errno": error.errno, "text": error.strerror, "file": error.filename}
            os.write(report, json.dumps(said).encode())
        finally:
            os._exit(127)
    os.close(report)
    with os.fdopen(failure, "rb") as reader:
        problem = reader.read()
    if problem:
        os.waitpid(pid, 0)
        known = json.loads(problem)
        raise OSError(known["errno"], known["text"], known["file"] or command[0])
    return pid


def _become(command: list[str], directory: str, out: int, err: int, parent: int) -> None:
    os.setsid()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(127)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)  # `exec` passes on what is ignored
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the environment has a key
    os.umask(0o077)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.chdir(directory)
    os.execvp(command[0], command)


def prctl(option: int, value: int) -> None:
    """Linux only; elsewhere, what makes a session of its own outlives the program."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def kill_descendants(reap: Callable[[], None]) -> None:
    """Kills every process below this one until there is none, and reaps what was orphaned."""
    until, pause = time.monotonic() + KILL_SECONDS, 0.001
    while time.monotonic() < until:
        reap()
        living = descendants(os.getpid())
        if not living:
            return
        for pid in living:
            kill(pid, signal.SIGKILL)
        time.sleep(pause)
        pause = min(2 * pause, 0.05)


def descendants(ancestor: int) -> list[int]:
    """The processes below one, without those that have ended. Linux only."""
    children: dict[int, list[tuple[int, str]]] = {}
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            with contextlib.suppress(OSError, IndexError), open(f"/proc/{name}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
                children.setdefault(int(parent), []).append((int(name), state.decode()))
    found, waiting = [], [ancestor]
    while waiting:
        for pid, its_state in children.get(waiting.pop(), ()):
            waiting.append(pid)
            if its_state not in "ZX":
                found.append(pid)
    return found


def kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def main() -> None:
    control_number, seconds, stdout_bytes, stderr_bytes, directory, *command = sys.argv[1:]
    control = socket.socket(fileno=int(control_number))
    control.set_inheritable(False)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    out = Output(int(stdout_bytes), keeps_end=False)
    err = Output(int(stderr_bytes), keeps_end=True)
    Supervisor(control, float(seconds), out, err).run(command, directory)


if __name__ == "__main__":
    main()
