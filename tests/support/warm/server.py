"""`python -m tests.support.warm.server ADDRESS`: forks a process for each command.

Everything is imported first, and nothing is started: no thread and no connection survives a fork.
"""

import importlib
import io
import json
import os
import pkgutil
import random
import select
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from typing import NoReturn

import temporalio.client
import temporalio.runtime
import temporalio.service

import durable_agent_team.cli
from durable_agent_team.cli.app import main

STREAMS = 3
HEAD_BYTES = 8


def import_all() -> None:
    """Every module of the command line."""
    assert temporalio.client
    for each in pkgutil.walk_packages(durable_agent_team.cli.__path__, "durable_agent_team.cli."):
        if not each.name.endswith("__main__"):
            importlib.import_module(each.name)


def serve(address: str) -> NoReturn:
    """Until standard input ends, as it does with the process that tests run in."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes that wait
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        import_all()
        assert threading.active_count() == 1
        print("ready", flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _wait_for_command(connection)
            connection.close()
    shutil.rmtree(os.path.dirname(address), ignore_errors=True)
    os._exit(0)


def _wait_for_command(connection: socket.socket) -> NoReturn:
    """Runs in a process of its own, so that commands do not wait for each other."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, ancillary, _, _ = connection.recvmsg(HEAD_BYTES, socket.CMSG_SPACE(STREAMS * 4))
    if not ancillary:  # it was killed before it had sent anything
        os._exit(1)
    streams = memoryview(ancillary[0][2]).cast("i").tolist()
    order = json.loads(_read(connection, int.from_bytes(head, "big")))
    pid = os.fork()
    if pid == 0:
        connection.close()
        _run(order["arguments"], order["folder"], order["environment"], streams)
    for each in streams:
        os.close(each)
    connection.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _read(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = connection.recv(size - len(found))
        if not piece:  # it was killed meanwhile: without this, a process spins for ever
            os._exit(1)
        found += piece
    return found


def _run(
    arguments: Sequence[str], folder: str, environment: dict[str, str], streams: Sequence[int]
) -> NoReturn:
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    random.seed()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), "utf-8")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), "utf-8")
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(2, "w", closefd=False)), "utf-8", write_through=True
    )
    sys.argv = ["starter.py", *arguments]
    main()


if __name__ == "__main__":
    serve(sys.argv[1])
