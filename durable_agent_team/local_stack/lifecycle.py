"""Finds the local stack that is up, or runs one: at most one for each data folder."""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.local_stack.disk_space import cannot_write
from durable_agent_team.local_stack.stack import READY_SECONDS, Say, Stack, StackFailed
from durable_agent_team.local_stack.stack_plan import StackSettings, stack_settings
from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.process.settings import SettingsError, given_values
from durable_agent_team.process.stack_state import StackInfo, data_dir, read_running

__all__ = ["StackFailed", "StackInfo", "local_stack", "running_stack"]


def running_stack(settings: StackSettings | None = None) -> StackInfo | None:
    """The stack that is up in the configured folder, or None."""
    values = {"DATA_DIR": settings.data_dir} if settings else given_values()
    return read_running(data_dir(values, PROJECT_ROOT))


@asynccontextmanager
async def local_stack(
    log: Say = print, settings: StackSettings | None = None
) -> AsyncIterator[StackInfo]:
    """The stack that is up, or a new one, which is stopped at the end of the block.

    Raises `SettingsError` (a taken port, a full disk) or `StackFailed`.
    """
    settings = settings or stack_settings()
    folder = data_dir({"DATA_DIR": settings.data_dir}, PROJECT_ROOT)
    with _lock_file(folder) as lock:
        if not await _acquired(lock, settings):
            info = running_stack(settings)
            if info is None:
                raise StackFailed(f"a stack in {folder} is being started or ended; try again")
            yield info
            return
        stack = Stack(settings, folder, log)
        try:
            yield await _started(stack, folder)
        finally:
            await stack.stop()


async def _started(stack: Stack, folder: Path) -> StackInfo:
    """Raises `SettingsError` where a file of the stack cannot be written."""
    try:
        return await stack.start()
    except OSError as error:
        if isinstance(error, TimeoutError | ConnectionError):
            raise
        raise cannot_write(folder, error) from error


def _lock_file(folder: Path) -> IO[str]:
    """Creates the stack's folder and opens its lock file. Raises `SettingsError` if that fails."""
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


async def _acquired(lock: IO[str], settings: StackSettings) -> bool:
    """Whether this process got the lock. Waits for a stack that is starting."""
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
