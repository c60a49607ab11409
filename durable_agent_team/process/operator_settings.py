"""Settings for commands that use a run's accounts at their provider: `charges`, `reconcile`."""

from typing import ClassVar

from durable_agent_team.process.settings import ClientSettings, WorkerSettings, load


class OperatorSettings(ClientSettings):
    """The client's settings, and the account API with its parent key, where that is set."""

    decides: ClassVar[tuple[str, ...]] = WorkerSettings.decides


def operator_settings() -> OperatorSettings:
    """Raises `SettingsError` with every problem."""
    return load(OperatorSettings)
