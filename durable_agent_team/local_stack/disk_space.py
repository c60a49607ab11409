"""Whether the disk of the stack's folder has room: a full one stops runs in the middle."""

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.process.settings import SettingsError

LEAST_BYTES = 100 * 1024**2
"""Below this nothing is started: Temporal's and the gateway's databases would soon stop."""
LITTLE_BYTES = 1024**3
REMEDY = "make room, or set DATA_DIR to a folder on another disk"


def require_room(folder: Path) -> None:
    """Raises `SettingsError` if the disk of an existing folder is nearly full."""
    free = shutil.disk_usage(folder).free
    if free < LEAST_BYTES:
        what = f"only {_megabytes(free)} are free on its disk, and the stack needs 100 MB"
        raise SettingsError(
            [Problem(field="DATA_DIR", value=str(folder)[:500], what=what, remedy=REMEDY)]
        )


def cannot_write(folder: Path, error: OSError) -> SettingsError:
    """A disk that filled up while the stack started, or a folder that nobody may write to."""
    what = f"cannot be written to ({error.strerror or error})"
    return SettingsError(
        [Problem(field="DATA_DIR", value=str(folder)[:500], what=what, remedy=REMEDY)]
    )


def little_room(folder: Path) -> str | None:
    """A warning if there is room for now, but not for long."""
    free = shutil.disk_usage(folder).free
    if free >= LITTLE_BYTES:
        return None
    return f"warning: DATA_DIR = {folder}: {_megabytes(free)} are free on its disk ({REMEDY})"


def no_room(folder: Path) -> str | None:
    """Why the stack in this folder does not answer: None where there is room."""
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(folder).free
        if free < LEAST_BYTES:
            return (
                f"{_megabytes(free)} are left on the disk of {folder}, where the local stack keeps"
                " its databases: make room there. While it is full, nothing answers and runs stand"
                " still; they continue once there is room"
            )
    return None


async def watch_room(
    folder: Path, say: Callable[[str], None], every_seconds: float = 5
) -> NoReturn:
    """Says when the disk of a stack that is up is nearly full, and when it has room again. Temporal
    and the gateway wait for room, and to everyone who uses them seem not to answer."""
    warned = False
    while True:
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(folder).free
            if not warned and free < LEAST_BYTES:
                warned = True
                say(
                    f"warning: {_megabytes(free)} are left on the disk of {folder}: while it is"
                    " full, nothing answers and runs stand still; they continue once there is room"
                )
            elif warned and free >= 2 * LEAST_BYTES:
                warned = False
                say(f"the disk of {folder} has room again")
        await asyncio.sleep(every_seconds)


def _megabytes(count: int) -> str:
    return f"{count / 1024**2:,.0f} MB"
