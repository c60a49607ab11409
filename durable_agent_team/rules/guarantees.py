"""The guarantees that an account provider does not give, and what that means for a run."""

from types import MappingProxyType
from typing import Final

from durable_agent_team.contracts.accounts import Capabilities

PROMISES: Final = MappingProxyType(
    {
        "hard_limit": "a limit may be overspent: no call is refused when the money runs out",
        "replay": "a call that is repeated after a crash may be charged twice",
        "ledger": "what was spent cannot be checked against the provider's books",
        "transfer": "money cannot be moved between agents in one step; `budget` sets each limit",
    }
)
REMEDY = "the gateway keeps all of them, and can stand in front of any provider"


def broken_promises(capabilities: Capabilities) -> dict[str, str]:
    """By name of each guarantee that is missing: what can happen without it."""
    return {name: what for name, what in PROMISES.items() if not getattr(capabilities, name)}
