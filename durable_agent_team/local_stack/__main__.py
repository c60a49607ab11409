"""`python -m durable_agent_team.local_stack`: the local stack in the foreground (`make up`).

Exit codes: 0 ended, or one is up already; 1 a part did not come up; 2 a setting is wrong or a port
is taken.
"""

import asyncio
import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable

from durable_agent_team.local_stack.lifecycle import local_stack, running_stack
from durable_agent_team.local_stack.stack import StackFailed
from durable_agent_team.local_stack.stack_plan import stack_settings
from durable_agent_team.process.interpreter_exit import exit_process
from durable_agent_team.process.settings import SettingsError


async def foreground() -> int:
    """`make up`."""
    settings = stack_settings()
    if info := running_stack(settings):
        _say(f"a stack is up already (pid {info.supervisor.pid})")
        _say(f"temporal on {info.temporal_address}, UI: {info.ui_url}")
        _say(f"gateway on {info.gateway_url}")
        return 0
    stop = asyncio.Event()
    main = asyncio.current_task()
    assert main is not None
    ready = False

    def ask(why: str) -> None:
        _say(f"stopping ({why})")
        # While it comes up there is nobody who waits for the event; asked twice, it hurries.
        if stop.is_set() or not ready:
            main.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        name = signal.Signals(number).name
        asyncio.get_running_loop().add_signal_handler(number, ask, name)
    watch = asyncio.create_task(_terminal_closed(lambda: ask("the terminal is gone")))
    async with local_stack(_say, settings) as info:
        ready = True
        _say(f"logs: {info.folder / 'logs'}. Ctrl-C ends the stack.")
        await stop.wait()
        watch.cancel()
    return 0


async def _terminal_closed(then: Callable[[], None]) -> None:
    """Calls `then` when the terminal is closed.

    SIGHUP alone does not tell: it goes to the session's leader, which may be `make`, and `make`
    waits for us.
    """
    watch = select.poll()
    for stream in (0, 1, 2):
        if os.isatty(stream):
            watch.register(stream, 0)  # nothing but the hang-up
    while not any(event & select.POLLHUP for _, event in watch.poll(0)):
        await asyncio.sleep(0.5)
    then()


def _say(line: str) -> None:
    # A terminal that was closed must not keep the stack from ending what it started.
    with contextlib.suppress(OSError):
        print(line, flush=True)


def main() -> int:
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


if __name__ == "__main__":
    exit_process(main())
