"""What was seen in a storm, as plain data: the verdict is made of this and of nothing else."""

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True)
class Attempt:
    """One request as the upstream saw it. Times are Unix seconds.

    `worked`: the upstream made an answer, so a provider may have billed its operator.
    `whole`: that answer was well-formed, in time, and written to the end.
    `by`: the gateway that asked.
    """

    key: str
    marker: str
    fate: str
    received: float
    ended: float
    worked: bool
    whole: bool
    by: str


@dataclass(frozen=True)
class Charged:
    """A line of the gateway's ledger, in micro-USD."""

    account: str
    key: str
    at: float
    amount: int
    kind: str = "call"
    """Or `tool`."""


@dataclass(frozen=True)
class GivenUp:
    """A call that the gateway noted as cut off: its `key` as the upstream saw it, its `bound` in
    micro-USD."""

    key: str
    cause: str
    at: float
    bound: int


@dataclass(frozen=True)
class Decision:
    """A person's, to make the call of a task again."""

    run: str
    subject: str
    at: float


@dataclass(frozen=True)
class Effect:
    """One line of a tool that counts: it was called with this key."""

    tool: str
    n: int
    task: str
    key: str
    at: float


@dataclass(frozen=True)
class BudgetChange:
    account: str
    at: float
    amount: int


@dataclass(frozen=True)
class AccountFacts:
    """An account as the gateway's database has it, in micro-USD."""

    id: str
    run: str
    agent: str
    status: str
    budget: int
    spent: int
    reserved: int


@dataclass(frozen=True)
class Recorded:
    """A call that a history has as completed. `good`: its answer passed its checks."""

    key: str
    marker: str
    at: float
    good: bool


@dataclass(frozen=True)
class RunFacts:
    """How a run ended, and what its query and its report say that each agent spent."""

    id: str
    status: str
    expected: frozenset[str]
    failure: str = ""
    reported: dict[str, Decimal] | None = None
    queried: dict[str, Decimal] | None = None
    limits: dict[str, Decimal] = field(default_factory=dict)
    """Of each agent, as its query says it at the end."""
    ledger_agrees: str = ""
    scheduled: frozenset[str] = frozenset()
    """The keys of all calls in its history, each with its account before it."""
    recorded: tuple[Recorded, ...] = ()
    unanswered: frozenset[str] = frozenset()
    """Keys of calls of tools that have no result in its history: a person decided about them."""
    possibly_billed: dict[str, tuple[int, Decimal]] = field(default_factory=dict)
    """How many calls may have been billed, and the most that this is in USD: as the query, the
    report and the charges say it."""
    differences: tuple[str, ...] = ()
    """Lines of its charges that differ from the ledger."""
    executions: int = 1
    """How many executions it has had: it may have continued as new."""
    replay_failures: tuple[str, ...] = ()
    """Of its histories in another process: a worker that takes the run over would be stuck."""


@dataclass(frozen=True)
class Span:
    """A process event: a kill (from the signal to the new start), a freeze, a full disk, or a
    store that was removed."""

    victim: str
    kind: str
    start: float
    end: float


@dataclass
class Facts:
    attempts: list[Attempt] = field(default_factory=list)
    ledger: list[Charged] = field(default_factory=list)
    budgets: list[BudgetChange] = field(default_factory=list)
    accounts: list[AccountFacts] = field(default_factory=list)
    given_up: list[GivenUp] = field(default_factory=list)
    """In the order in which the gateway noted them."""
    decisions: list[Decision] = field(default_factory=list)
    pending: int = 0
    """Calls that still hold a reservation after everything has ended."""
    runs: list[RunFacts] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    holes: list[str] = field(default_factory=list)
    """Conversations with a call that has no result, or two."""
    spans: list[Span] = field(default_factory=list)
    keys_found: list[str] = field(default_factory=list)
    stores_made_anew: list[str] = field(default_factory=list)
    processes_left: list[str] = field(default_factory=list)
    """Of the storm's stack, after it has ended."""
    unexpected_exits: dict[str, int] = field(default_factory=dict)
