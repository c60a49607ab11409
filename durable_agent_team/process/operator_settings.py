"""Settings for commands that use a run's accounts at their provider: `charges`, `reconcile`."""

from typing import ClassVar

from pydantic import Field

from durable_agent_team.process.setting_types import Key, Url
from durable_agent_team.process.settings import ClientSettings, WorkerSettings, load


class OperatorSettings(ClientSettings):
    """The client's settings, and the account API with its parent key, where that is set."""

    decides: ClassVar[tuple[str, ...]] = WorkerSettings.decides

    atxp_api_url: Url = Field("https://api.atxp.ai/v1", description="ATXP's account API.")
    atxp_api_key: Key | None = Field(None, description="The parent key.")


def operator_settings() -> OperatorSettings:
    """Raises `SettingsError` with every problem."""
    return load(OperatorSettings)
