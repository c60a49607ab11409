"""Settings of a worker that is wired and never started."""

import base64

import pytest

from durable_agent_team.process.settings import WorkerSettings


@pytest.fixture
def worker_settings() -> WorkerSettings:
    sealing_key = base64.urlsafe_b64encode(bytes(32)).decode()
    return WorkerSettings.model_validate({"atxp_api_key": "x" * 20, "sealing_key": sealing_key})
