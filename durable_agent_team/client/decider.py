"""Who decides, where a caller does not say it: the user of the operating system, and the host."""

import getpass
import socket

from durable_agent_team.contracts.approvals import MAX_DECIDER


def decider() -> str:
    """Such as `ann@desk-7`. A name for people, and no proof of anything."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such user id, as in some containers
        user = "unknown"
    return f"{user}@{socket.gethostname()}"[:MAX_DECIDER]
