"""The process that checks what may take long. It is killed when it does.

Reads requests from standard input and writes a reply for each to standard output. Every message
has its length in front. A request is pickled by the worker; the reply is JSON. The kernel ends the
process at the time limit, even while a regular expression runs, and even if the worker is
gone; and it ends with its worker, when its standard input is closed.
"""

import contextlib
import ctypes
import json
import pickle
import resource
import signal
import struct
import sys
from typing import Any

from activities.judging.answer_checks import AnswerCheck, reasons_against
from activities.judging.exceptions import InvalidSchema
from activities.judging.schemas import probe

MAX_MEMORY = 1024**3
"""Bytes of address space, so that an answer that becomes large kills only this process."""

HEADER = struct.Struct("!Qd")
"""The header of a request: its length in bytes, and its limit in seconds of CPU time."""

LENGTH = struct.Struct("!Q")
"""The header of a reply: its length in bytes."""

WALL_FACTOR = 3
"""The limit of elapsed time, in limits of CPU time: an overloaded machine fails no answer."""

READY = b"ready\n"
PR_SET_PDEATHSIG = 1


def main() -> None:
    _limit()
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    replies.write(READY)
    replies.flush()
    while len(header := requests.read(HEADER.size)) == HEADER.size:
        length, seconds = HEADER.unpack(header)
        request = pickle.loads(requests.read(length))
        _set_timers(seconds)
        reply = json.dumps(answered(request)).encode()
        _set_timers(0)
        replies.write(LENGTH.pack(len(reply)) + reply)
        replies.flush()


def answered(request: AnswerCheck | str) -> dict[str, Any]:
    """The reply to a check of an answer, or to a schema that is to be tried."""
    try:
        if isinstance(request, str):
            probe(request)
            return {"reasons": []}
        return {"reasons": reasons_against(request)}
    except InvalidSchema as error:
        return {"invalid_schema": str(error)}
    except MemoryError:
        return {"stopped": "memory"}
    except Exception as error:
        return {"unexpected": type(error).__name__}


def _set_timers(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, WALL_FACTOR * seconds)


def _limit() -> None:
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)  # which ends the process
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which ends this
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):  # Linux only
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
