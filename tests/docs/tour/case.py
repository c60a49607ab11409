"""One case of the tour, as data: a command, and what its output must contain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Worker = Literal["good", "none", "other key"]
"""What serves the task queue: our worker, none, or one with another SEALING_KEY."""


@dataclass(frozen=True)
class Case:
    """`command` is `starter.py …`, `worker.py`, `make …`, `temporal …`, or a request to the gateway
    (`GET /v1/models`)."""

    title: str
    command: str
    says: Sequence[str]
    """What the output must contain: what happened, to what, what to do."""
    code: int = 2
    """The exit code, or the HTTP status of a request."""
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    """Files in the folder where the command runs. A name that ends in `/` is a folder."""
    env: Mapping[str, str] = field(default_factory=dict)
    given: Sequence[str] = ()
    """Commands that run first."""
    before: Sequence[str] = ()
    """Like `given`, but while the good worker still serves."""
    begun: tuple[str, str] | None = None
    """Like `until`, but after `before`."""
    until: tuple[str, str] | None = None
    """A run, and the status that it must reach before the command."""
    stop_after: str | None = None
    """For a process that does not end: it gets SIGTERM once it has printed this."""
    worker: Worker = "good"
    key: Literal["parent", "agent", "poor", "disabled", "wrong", "none"] = "agent"
    """The key that a request is sent with."""
    part: str = ""
    """The part to show: from the line that begins with this to the next empty one."""
    first: int | None = None
    """How many of these lines to show: what follows differs from run to run."""


@dataclass(frozen=True)
class Section:
    title: str
    about: str
    cases: Sequence[Case]


@dataclass(frozen=True)
class Output:
    """What a command printed, without what differs from machine to machine, and its exit code."""

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
    """Returns the team with another `ask`, and more keys for its agent, its task and itself."""
    text = TEAM.replace("List the facts.", ask)
    text = text.replace("budget_usd: 1}\ntasks", f"budget_usd: 1{agent}}}\ntasks")
    text = text.replace(f"ask: {ask}", f"ask: {ask}{task}")
    return text + more
