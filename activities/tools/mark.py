"""The mark before an effect: from then on, nobody but a person may send the call again."""

from typing import Final

from temporalio import activity

from activities.heartbeats import NotConfirmed, confirm_attempt
from activities.tools.exceptions import ToolBroke

SENT: Final = "sent"


async def mark_sent(*, after_heartbeats: bool) -> None:
    """Writes the heartbeat `["sent"]` through the server, and waits for its answer. From before it
    is called, every heartbeat of the attempt has to say `sent`.

    It is also a fence: an attempt that the server has given up sends nothing. Raises `ToolBroke`,
    not sent.
    """
    if after_heartbeats:
        # The SDK may keep one back, which would take the place of the mark. Its last one counts.
        activity.heartbeat(SENT)
    await check_confirmed(SENT)


async def check_confirmed(*details: object) -> None:
    """By a heartbeat with these details. Raises `ToolBroke`, not sent."""
    try:
        await confirm_attempt(*details)
    except NotConfirmed as error:
        if error.is_cancelled:
            raise ToolBroke("the call was cancelled before it was sent") from None
        raise ToolBroke(str(error)) from None
