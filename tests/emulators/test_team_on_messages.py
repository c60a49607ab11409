"""A team whose models speak Anthropic's Messages, from `validate` to the report."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml

from durable_agent_team.contracts.run import RunStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.cli.support import Starter
from tests.emulators.conftest import _connected
from tests.emulators.messages_api import MessagesApi
from tests.emulators.script import ANSWERS, team
from tests.emulators.server import prompt_of
from tests.support.packages import all_rooms

MODELS = """
[upstreams.claude]
url = "{url}"
key_env = "CLAUDE_TOKEN"
speaks = "messages"
[models."claude"]
upstream = "claude"
input_usd_per_million = 1
cached_input_usd_per_million = 0.1
output_usd_per_million = 5
context_tokens = 200000
max_output_tokens = 64000
"""


def answer(body: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    found = next((each for part, each in ANSWERS.items() if part in prompt_of(body)), "Done.")
    text = found if isinstance(found, str) else f"Here it is:\n```json\n{json.dumps(found)}\n```"
    return [{"type": "text", "text": text}], "end_turn"


def metals(*, planned: bool) -> dict[str, Any]:
    """The small team, without the settings that Messages do not have."""
    found = team("claude", planned=planned)
    for each in (found["orchestrator"], *found["agents"].values()):
        each.pop("frequency_penalty")
        each.pop("seed")
    return found


@pytest.mark.parametrize("planned", [False, True], ids=["given", "planned"])
async def test_a_team_runs_from_validate_to_the_report(planned: bool, tmp_path: Path) -> None:
    models = tmp_path / "models.toml"
    async with MessagesApi(answer) as upstream, _connected() as client:
        models.write_text(MODELS.format(url=upstream.url))
        keys = {"CLAUDE_TOKEN": upstream.key}
        async with all_rooms(client, environment=keys, gateway_models=models) as rooms:
            starter = Starter(client.service_client.config.target_host, tmp_path)
            file = starter.team(yaml.safe_dump(metals(planned=planned)))
            at = {"ATXP_LLM_URL": rooms.gateway.base_url, "ATXP_API_KEY": rooms.gateway.parent_key}
            valid = await starter("validate", file, **at)
            assert valid.code == 0, valid.err
            assert "claude" in valid.out
            run = f"run-{uuid.uuid4()}"
            report = await (await rooms.start({"team": metals(planned=planned)}, run)).result()
            assert report.status is RunStatus.COMPLETED, report.failure
            assert report.spend.ledger_agrees is LedgerAgreement.YES
            assert report.spend.total.spent_usd == rooms.ledger_usd() > 0
            assert report.spend.total.cached_tokens == 30 * len(upstream.requests)
            written = await starter("report", run, "--out", str(tmp_path / "report.md"), **at)
        assert written.code == 0, written.err
        assert "Copper pays off." in (tmp_path / "report.md").read_text()
    assert len(upstream.requests) == (4 if planned else 3)
    limits = [each["max_tokens"] for each in upstream.requests]
    assert limits == ([8_192, 512, 512, 512] if planned else [512] * 3)
