"""The seam behind `run_program`: one implementation for each kind of program."""

from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from activities.programs.remote_progress import Progress
from durable_agent_team.contracts.program import ProgramCall


@dataclass(frozen=True)
class Scope:
    """Where the calls of one attempt go, and who pays for them."""

    name: str
    attempt: int
    gateway_url: str
    """The gateway's root, without `/v1`."""
    key: SecretStr
    """The key of the agent's account. It leaves the worker only in a variable or header of the
    program."""

    @property
    def base_url(self) -> str:
        """What an OpenAI-compatible client wants; it has scope and attempt."""
        return f"{self.gateway_url}/scopes/{self.name}/{self.attempt}/v1"


@dataclass(frozen=True)
class ProgramOutput:
    """What a program gave. Without keys, but not judged."""

    answer: str
    stderr: str = ""
    remote_task: str | None = None
    """The task of a remote agent, for a repair in the same conversation."""


class Runner(Protocol):
    """Runs one kind of program."""

    async def run(
        self, call: ProgramCall, scope: Scope, seconds: float, progress: Progress
    ) -> ProgramOutput:
        """The program's output, within this many seconds. `call` has its texts, not references.
        What it saves in `progress`, the next attempt finds there.

        Raises `ProgramError`. When it returns, raises or is cancelled, nothing of the program runs
        any more, as far as this side can end it.
        """
        ...
