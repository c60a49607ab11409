"""`python -m tests.support.warm.server ADDRESS PROGRAM`: forks a process for each command.

Everything is imported first, and nothing is started: no thread and no connection survives a fork.
"""

import gc
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
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

STREAMS = 3
HEAD_BYTES = 8


def starter() -> Callable[[], Any]:
    """Imports every module of the command line."""
    for name in ("temporalio.client", "temporalio.runtime", "temporalio.service"):
        importlib.import_module(name)
    package = importlib.import_module("durable_agent_team.cli")
    for each in pkgutil.walk_packages(package.__path__, "durable_agent_team.cli."):
        if not each.name.endswith("__main__"):
            importlib.import_module(each.name)
    main: Callable[[], Any] = importlib.import_module("durable_agent_team.cli.app").main
    return main


def starter_mcp() -> Callable[[], Any]:
    """Imports what `starter.py mcp` needs as well, which takes it longer than all the rest."""
    importlib.import_module("durable_agent_team.mcp_server.server")
    return starter()


def gateway() -> Callable[[], Any]:
    """Imports what a gateway needs that listens."""
    importlib.import_module("uvloop")
    main: Callable[[], Any] = importlib.import_module("durable_agent_team.gateway.__main__").main
    return main


def worker() -> Callable[[], Any]:
    """Imports what a worker has imported when it polls its task queue."""
    module = importlib.import_module("worker")
    exit_process = importlib.import_module(
        "durable_agent_team.process.interpreter_exit"
    ).exit_process
    return lambda: exit_process(module.main())


PROGRAMS = {
    "starter.py": starter,
    "starter.py mcp": starter_mcp,
    "gateway": gateway,
    "worker.py": worker,
}


def serve(address: str, program: str) -> NoReturn:
    """Until standard input ends, as it does with the process that tests run in."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes that wait
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        main = PROGRAMS[program]()
        assert threading.active_count() == 1
        gc.freeze()  # so that looking for garbage copies nothing in the forked processes
        print("ready", flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _wait_for_command(connection, program, main)
            connection.close()
    shutil.rmtree(os.path.dirname(address), ignore_errors=True)
    os._exit(0)


def _wait_for_command(connection: socket.socket, program: str, main: Callable[[], Any]) -> NoReturn:
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
        _prepare(order["folder"], order["environment"], streams)
        sys.argv = [*program.split(), *order["arguments"]]
        sys.orig_argv = sys.orig_argv[:1]  # nobody typed the server's own command line
        sys.exit(main())
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
        if not piece:  # it was killed meanwhile: without this, a process spins forever
            os._exit(1)
        found += piece
    return found


def _prepare(folder: str, environment: dict[str, str], streams: Sequence[int]) -> None:
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


if __name__ == "__main__":
    serve(*sys.argv[1:])
