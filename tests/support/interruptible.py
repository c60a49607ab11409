"""Work of a command that tidies up when it is interrupted."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def until_interrupted(work: Coroutine[Any, Any, T]) -> T | None:
    """None after SIGINT or SIGTERM, once everything is tidied up."""
    task = asyncio.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return None
