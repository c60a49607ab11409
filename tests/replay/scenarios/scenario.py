"""What scenarios have in common."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from tests.support.fakes import FakeWorld
from tests.workflows.runs import started

Handle = WorkflowHandle[Any, Any]
Scenarios = dict[str, Callable[[Client], Awaitable[Handle]]]


async def ended(client: Client, world: FakeWorld, payload: Any) -> Handle:
    async with started(client, world, payload) as handle:
        with suppress(WorkflowFailureError):
            await handle.result()
    return handle
