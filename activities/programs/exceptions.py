"""The failures of programs. `activities/error_translation.py` makes them `ApplicationError`s."""

from durable_agent_team.contracts.effects import UnknownEffect
from durable_agent_team.contracts.error_types import ErrorType


class ProgramError(Exception):
    """Why a program gave no answer. The text and `stderr` are without keys.

    `final`: another attempt would fail in the same way.
    """

    def __init__(
        self,
        kind: ErrorType,
        message: str,
        *,
        stderr: str = "",
        effect: UnknownEffect | None = None,
        remote_task: str | None = None,
        final: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.stderr = stderr
        self.effect = effect
        self.remote_task = remote_task
        self.final = final
