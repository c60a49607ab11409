"""The worker's side of `judge_child`: starts it, sends it work, kills it at the time limit."""

import contextlib
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from activities.judging.answer_checks import AnswerCheck
from activities.judging.exceptions import CheckStopped
from activities.judging.judge_child import HEADER, LENGTH, READY, WALL_FACTOR

BOOT = (
    "import sys; sys.path[:] = sys.argv[1:];"
    " from activities.judging.judge_child import main; main()"
)
ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
KILL_MARGIN = 1.0
"""Seconds after which the worker kills a child that the kernel's timer has not ended."""

MAX_REPLY = 1_000_000


class JudgeProcess:
    """One child, started when it is first needed and again after it was killed.

    Not safe for concurrent use. Its methods block, so they are called in a thread.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def ask(self, request: AnswerCheck | str, seconds: float) -> dict[str, Any]:
        """The child's reply. Raises `CheckStopped`, and has killed the child then."""
        child = self._running()
        try:
            reply = self._exchange(child, pickle.dumps(request), seconds)
        except BaseException:
            self.kill()
            raise
        if reply.get("stopped"):
            self.kill()  # its memory is not to be trusted any more
            raise CheckStopped(reply["stopped"])
        return reply

    def kill(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):
                _open(pipe).close()
        child.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is not None:
            self.kill()
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-c", BOOT, str(ROOT), *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=_environment(),
            )
            with _killed_after(self._child, START_SECONDS):
                if _open(self._child.stdout).readline(64) != READY:
                    self.kill()
                    raise OSError("the process that checks answers does not start")
        return self._child

    def _exchange(
        self, child: subprocess.Popen[bytes], request: bytes, seconds: float
    ) -> dict[str, Any]:
        stdin, stdout = _open(child.stdin), _open(child.stdout)
        with _killed_after(child, WALL_FACTOR * seconds + KILL_MARGIN):
            try:
                stdin.write(HEADER.pack(len(request), seconds) + request)
                stdin.flush()
                header = stdout.read(LENGTH.size)
                length = LENGTH.unpack(header)[0] if len(header) == LENGTH.size else 0
                body = stdout.read(length) if length <= MAX_REPLY else b""
            except OSError:
                body = b""
        if not body:
            raise CheckStopped("time")
        reply: dict[str, Any] = json.loads(body)
        return reply


@contextlib.contextmanager
def _killed_after(child: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, child.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _environment() -> dict[str, str]:
    """What the interpreter needs to start: none of the worker's keys."""
    needed = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL")
    return {name: os.environ[name] for name in needed if name in os.environ}


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
