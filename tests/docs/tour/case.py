"""One error of the tour, as data: what a person does, and what they must be told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Worker = Literal["good", "none", "other key"]
"""Who serves the task queue: our worker, nobody, or one with another SEALING_KEY."""


@dataclass(frozen=True)
class Case:
    """`command` is what a person types: `starter.py …`, `worker.py`, `make …`,

    `temporal …`, or a request to the gateway (`GET /v1/models`)."""

    title: str
    command: str
    says: Sequence[str]
    """Pieces that the text must have: what happened, to what, what to do."""
    code: int = 2
    """The exit code; of a request the HTTP status."""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    """Beside which the command runs. A name that ends in `/` is a folder."""
    env: Mapping[str, str] = field(default_factory=dict)
    given: Sequence[str] = ()
    """Commands that were run before."""
    before: Sequence[str] = ()
    """As `given`, but while the good worker still serves."""
    begun: tuple[str, str] | None = None
    """As `until`, but after `before`."""
    until: tuple[str, str] | None = None
    """A run and the status that it must have reached before the command."""
    stop_after: str | None = None
    """For a process that does not end: SIGTERM once it has said this."""
    worker: Worker = "good"
    key: Literal["parent", "agent", "poor", "disabled", "wrong", "none"] = "agent"
    """Of a request: whose key comes with it."""
    part: str = ""
    """What is worth showing: from the line that begins so to the next empty one."""
    first: int | None = None
    """Of that, so many lines: what follows differs from run to run."""


@dataclass(frozen=True)
class Section:
    title: str
    about: str
    cases: Sequence[Case]


@dataclass(frozen=True)
class Told:
    """What a person sees: the text without what differs from machine to machine, and the code."""

    text: str
    code: int


TEAM = """\
name: brief
goal: Brief the board
orchestrator: {budget_usd: 1}
agents:
  research: {role: Researcher, budget_usd: 1}
tasks:
  - {id: facts, agent: research, ask: List the facts.}
result: facts
"""


def team(ask: str = "List the facts.", agent: str = "", task: str = "", more: str = "") -> str:
    """The team with another ask, and more keys for its agent, its task and itself."""
    text = TEAM.replace("List the facts.", ask)
    text = text.replace("budget_usd: 1}\ntasks", f"budget_usd: 1{agent}}}\ntasks")
    text = text.replace(f"ask: {ask}", f"ask: {ask}{task}")
    return text + more
