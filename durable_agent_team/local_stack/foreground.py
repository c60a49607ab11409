"""The local stack in the foreground: what `make up` runs (docs/adr/012).

Exit codes: 0 stopped, or a stack is up already; 1 a part did not start; 2 a setting is invalid, a
port is taken, or an argument was given.
"""

import argparse
import asyncio
import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable

from durable_agent_team.local_stack.disk_space import watch_room
from durable_agent_team.local_stack.lifecycle import local_stack, running_stack
from durable_agent_team.local_stack.stack import StackFailed
from durable_agent_team.local_stack.stack_plan import stack_settings
from durable_agent_team.process.settings import SettingsError


async def foreground() -> int:
    """Runs the stack until a signal arrives or the terminal is closed; returns the exit code."""
    settings = stack_settings()
    if info := running_stack(settings):
        pid = info.supervisor.pid
        _say(f"a stack is up already (pid {pid}; to end it: Ctrl-C there, or `kill {pid}`)")
        _say(f"temporal on {info.temporal_address}, UI: {info.ui_url}")
        _say(f"gateway on {info.gateway_url}")
        return 0
    stop = asyncio.Event()
    main = asyncio.current_task()
    assert main is not None
    ready = False

    def request_stop(why: str) -> None:
        _say(f"stopping ({why})")
        # Nothing waits for the event during the start; a second request skips the graceful stop.
        if stop.is_set() or not ready:
            main.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        name = signal.Signals(number).name
        asyncio.get_running_loop().add_signal_handler(number, request_stop, name)
    watch = asyncio.create_task(_terminal_closed(lambda: request_stop("the terminal is gone")))
    async with local_stack(_say, settings) as info:
        ready = True
        _say(f"logs: {info.folder / 'logs'}. Ctrl-C ends the stack.")
        room = asyncio.create_task(watch_room(info.folder, _say))
        await stop.wait()
        room.cancel()
        watch.cancel()
    return 0


async def _terminal_closed(then: Callable[[], None]) -> None:
    """Calls `then` when the terminal is closed.

    SIGHUP is not enough: it goes to the session's leader, which may be `make`, and `make` waits for
    this process.
    """
    watch = select.poll()
    for stream in (0, 1, 2):
        if os.isatty(stream):
            watch.register(stream, 0)  # only the hang-up, which is always reported
    while not any(event & select.POLLHUP for _, event in watch.poll(0)):
        await asyncio.sleep(0.5)
    then()


def _say(line: str) -> None:
    # Even if the terminal is closed, the stack has to stop what it started.
    with contextlib.suppress(OSError):
        print(line, flush=True)


def parse_arguments() -> None:
    """Prints what the local stack is, for `--help`, and refuses every other argument. Both exit."""
    argparse.ArgumentParser(
        prog="python -m durable_agent_team.local_stack",
        description="Runs Temporal, the gateway and a worker on this machine, until Ctrl-C.",
        epilog="It has no other arguments. Its settings are environment variables or lines of .env:"
        " docs/settings.md",
    ).parse_args()


def main() -> int:
    parse_arguments()
    try:
        return asyncio.run(foreground())
    except SettingsError as error:
        print(f"the local stack cannot start:\n{error}", file=sys.stderr)
        return 2
    except StackFailed as error:
        print(f"the local stack cannot start: {error}", file=sys.stderr)
        return 2 if error.wrong_setting else 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
