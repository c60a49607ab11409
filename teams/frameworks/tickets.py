"""The tool of the agents in this folder. It acts, so `once` keeps its result."""

import os
from pathlib import Path

from durable_agent_team.agents import once


@once
def open_ticket(title: str) -> str:
    """Open a ticket for the workshop, and return its number.

    Args:
        title: What is broken, in a few words.
    """
    tickets = Path(os.environ["TICKETS"])
    with tickets.open("a", encoding="utf-8") as file:
        file.write(f"{title}\n")
    return f"ticket {len(tickets.read_text(encoding='utf-8').splitlines())}"
