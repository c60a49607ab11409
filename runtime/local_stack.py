"""The local stack: the real Temporal server, the gateway and a worker, supervised.

`python -m runtime.local_stack` keeps it in the foreground; `local_stack()` uses the one that is
up, or runs one for as long as the block lasts. Exit codes: 0 ended, or one is up already; 1 a part
did not come up; 2 a setting is wrong or a port is taken.
"""

import asyncio
import contextlib
import fcntl
import os
import select
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from contracts.plan import Problem
from runtime.process import leave
from runtime.settings import PROJECT_ROOT, SettingsError, given_values
from runtime.stack import READY_SECONDS, Say, Stack, StackFailed
from runtime.stack_plan import StackSettings, stack_settings
from runtime.stack_state import StackInfo, data_dir, read_running

__all__ = ["StackFailed", "StackInfo", "local_stack", "running_stack"]


def running_stack(settings: StackSettings | None = None) -> StackInfo | None:
    """The stack that is up in the configured folder, or None."""
    values = {"DATA_DIR": settings.data_dir} if settings else given_values()
    return read_running(data_dir(values, PROJECT_ROOT))


@asynccontextmanager
async def local_stack(
    log: Say = print, settings: StackSettings | None = None
) -> AsyncIterator[StackInfo]:
    """The stack that is up, or one of our own, which ends with the block.

    Raises `SettingsError` (a taken port) or `StackFailed`.
    """
    settings = settings or stack_settings()
    folder = data_dir({"DATA_DIR": settings.data_dir}, PROJECT_ROOT)
    with _lock_file(folder) as lock:
        if not await _owned(lock, settings):
            info = running_stack(settings)
            if info is None:
                raise StackFailed(f"a stack in {folder} is being started or ended; try again")
            yield info
            return
        stack = Stack(settings, folder, log)
        try:
            yield await stack.start()
        finally:
            await stack.stop()


def _lock_file(folder: Path) -> IO[str]:
    """The stack's folder is made, and its lock opened; what cannot be is a wrong setting."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / "stack.lock").open("a")
    except OSError as error:
        problem = Problem(
            field="DATA_DIR",
            value=str(folder)[:500],
            what=f"cannot be used ({error.strerror})",
            remedy="set DATA_DIR to a folder that you may write to",
        )
        raise SettingsError([problem]) from error


async def _owned(lock: IO[str], settings: StackSettings) -> bool:
    """Whether this process may run the stack. One that is just coming up is waited for."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if running_stack(settings):
                return False
        await asyncio.sleep(0.2)
    return False


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
    leave(main())
