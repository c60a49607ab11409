"""The mark before an effect: from then on, nobody but a person may send the call again."""

import asyncio
from typing import Final

from temporalio import activity
from temporalio.client import AsyncActivityCancelledError
from temporalio.service import RPCError

from activities.tools.exceptions import ToolBroke

SENT: Final = "sent"
SECONDS: Final = 20.0


async def mark_sent(*, after_heartbeats: bool) -> None:
    """Writes the heartbeat `["sent"]` through the server, and waits for its answer. From before it
    is called, every heartbeat of the attempt has to say `sent`.

    It is also a fence: an attempt that the server has given up gets NOT_FOUND, and sends nothing.
    Raises `ToolBroke`, not sent.
    """
    if after_heartbeats:
        # The SDK may keep one back, which would take the place of the mark. Its last one counts.
        activity.heartbeat(SENT)
    handle = activity.client().get_async_activity_handle(task_token=activity.info().task_token)
    try:
        async with asyncio.timeout(SECONDS):
            await handle.heartbeat(SENT)
    except AsyncActivityCancelledError:
        raise ToolBroke("the call was cancelled before it was sent") from None
    except (RPCError, TimeoutError) as error:
        raise ToolBroke(
            f"Temporal has not confirmed this attempt ({type(error).__name__}): nothing was sent"
        ) from None
