"""What is known of a program's work on a task, across its executions, until the task is done."""

from dataclasses import dataclass

from durable_agent_team.contracts.effects import EffectAnswer


@dataclass
class ProgramScope:
    """A scope at the gateway: under it, what one execution has paid is replayed to the next."""

    id: str
    agent: str
    executions: int = 0
    """How many activities have run the program; the next one has the number after it."""
    effect_answers: tuple[EffectAnswer, ...] = ()
    """What a person has decided, and no execution has reported since."""
    reply: str | None = None
    """What a person has answered to a remote agent."""
    remote_task: str | None = None
    """The remote agent's task that continues."""
    preparing: bool = False
    """Its environment is being prepared."""
    prepared: bool = False
    """Its environment was prepared. A worker that does not have it makes it."""

    def reported(self, remote_task: str | None) -> None:
        """An execution has ended with a report of its own: it has used what a person answered."""
        self.effect_answers, self.reply = (), None
        self.remote_task = remote_task
