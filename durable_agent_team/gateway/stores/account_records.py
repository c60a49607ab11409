"""An account as the store has it. Amounts are integer micro-USD."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    name: str
    status: str
    budget: int
    spent: int
    reserved: int
    charges: int
    created_at: float
    possibly_billed_calls: int = 0
    """Requests that the gateway gave up after they were sent: the operator may have to pay them."""
    possibly_billed: int = 0
    """The most that these can have cost. Not a part of `spent`: the account does not pay them."""
    revision: int = 0
    """How often its budget or its status was set."""

    @property
    def remaining(self) -> int:
        """How much a new call can reserve."""
        return self.budget - self.spent - self.reserved
