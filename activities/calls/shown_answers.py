"""How a failed answer goes back to its agent."""

from durable_agent_team.contracts.call import MAX_REJECTED


def shown_answer(answer: str) -> str:
    """Its beginning, with a mark where it is cut."""
    cut = answer[:MAX_REJECTED] + " […]" if len(answer) > MAX_REJECTED else answer
    return cut or "(nothing)"
