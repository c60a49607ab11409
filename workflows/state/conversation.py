"""The conversation of an agent with tools, for one answer to one task."""

from dataclasses import dataclass, field

from durable_agent_team.contracts.conversation import Entry, Said, ToolMessage, Turn
from durable_agent_team.rules.tools.compaction import KEPT_RESULTS
from workflows.state.turn_record import TurnRecord


@dataclass
class AgentSpan:
    """The span `invoke_agent` that is open; its `trace` is empty on workers without traces."""

    trace: dict[str, str]
    """Its `traceparent`, which its calls and its tools get as their parent."""
    started_ns: int
    first_turn: int
    """The number of turns that are not of this span."""


@dataclass
class ConversationState:
    """All that was said so far, and what a worker is known to have of it.

    Between a turn and its results the conversation is not `is_ready`: the calls of the turn are
    being made.
    """

    id: str
    agent: str
    entries: list[Entry] = field(default_factory=list)
    turns: int = 0
    """Answers of the model so far, with and without calls of tools."""
    hash: str = ""
    """The hash of the head and the first `hashed` entries."""
    head: str = ""
    """The hash of the head, without the entries."""
    hashed: int = 0
    base: str | None = None
    """The hash of the turn that a worker has answered last."""
    base_entries: int = 0
    """How many entries that one had."""
    log: list[TurnRecord] = field(default_factory=list)
    """A record of every turn, for people."""
    span: AgentSpan | None = None
    refused_bytes: int | None = None
    """The size of the smallest prompt that did not fit the model's context."""
    kept_results: int = KEPT_RESULTS
    """How many of the last results stay when old ones make room."""

    @property
    def pending(self) -> Turn | None:
        """The turn whose calls have no results yet."""
        return self.entries[-1].turn if self.entries else None

    def answered(self, whole: str, entries: int, record: TurnRecord) -> None:
        """A worker has made the turn of this hash, and so has all that was before it."""
        self.turns += 1
        self.log.append(record)
        self.base, self.base_entries = whole, entries

    def add_turn(self, turn: Turn) -> None:
        self.entries.append(Entry(turn=turn))

    def add_results(self, results: tuple[ToolMessage, ...]) -> None:
        self.entries.append(Entry(results=results))

    def add_rejected(self, answer: Said, why: Said) -> None:
        """An answer that failed its checks, and the message with the reasons."""
        self.entries += [Entry(said=answer), Entry(said=why)]

    def replace(self, entries: list[Entry]) -> None:
        """Old results have made room: nobody has this conversation yet."""
        self.entries = entries
        self.hash, self.hashed = "", 0
        self.base, self.base_entries = None, 0
