"""The same small team runs on every provider, planned and given, and costs what the ledger says."""

import json
import uuid
from decimal import Decimal

import pytest
from temporalio.client import WorkflowFailureError

from durable_agent_team.contracts.run import RunReport, RunStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.emulators.models import MODELS, model_of
from tests.emulators.rules import PROVIDERS
from tests.emulators.script import team
from tests.emulators.server import Emulators, prompt_of
from tests.support.packages import Rooms

NOT_FREE = [name for name in MODELS if name != "ollama"]


async def run(rooms: Rooms, provider: str, *, planned: bool) -> RunReport:
    payload = {"team": team(model_of(provider), planned=planned, effort="low")}
    handle = await rooms.start(payload, f"run-{uuid.uuid4()}")
    try:
        report = await handle.result()
    except WorkflowFailureError as failed:
        report = RunReport.model_validate(failed.cause.details[0])  # type: ignore[attr-defined]
    assert isinstance(report, RunReport)
    return report


def test_every_emulator_names_its_source() -> None:
    assert set(PROVIDERS) == set(MODELS)
    assert all(each.source for each in PROVIDERS.values())


@pytest.mark.parametrize("planned", [False, True], ids=["given", "planned"])
@pytest.mark.parametrize("provider", MODELS)
async def test_the_team_runs(
    rooms: Rooms, providers: Emulators, provider: str, planned: bool
) -> None:
    providers.refusals.clear()
    providers.requests.clear()
    report = await run(rooms, provider, planned=planned)
    assert providers.refusals == []
    assert report.status is RunStatus.COMPLETED, report.failure
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    assert report.spend.total.failed_calls == 0
    assert len(providers.requests) == (4 if planned else 3)
    assert (report.spend.total.spent_usd > 0) == (provider in NOT_FREE)
    handed_on = [body for _, body in providers.requests if "Write it up" in prompt_of(body)][-1]
    if not planned:
        assert '"usd"' in prompt_of(handed_on)
        assert '"note"' not in prompt_of(handed_on), "the null of strict mode is dropped"
    assert "<think>" not in json.dumps(handed_on["messages"][-1])


async def test_one_team_mixes_the_models_of_several_providers(
    rooms: Rooms, providers: Emulators
) -> None:
    providers.requests.clear()
    mixed = team(model_of("openai-reasoning"), planned=False)
    mixed["agents"]["research"] |= {"model": model_of("deepseek"), "temperature": None}
    mixed["orchestrator"]["reasoning_effort"] = "low"
    mixed["agents"]["editor"]["model"] = model_of("mistral")
    handle = await rooms.start({"team": mixed}, f"run-{uuid.uuid4()}")
    report = await handle.result()
    assert report.status is RunStatus.COMPLETED
    assert [name for name, _ in providers.requests] == ["deepseek", "mistral", "openai-reasoning"]
    assert report.spend.total.spent_usd > Decimal(0)
    (_, deepseek), (_, mistral), (_, openai) = providers.requests
    assert "temperature" not in deepseek
    assert mistral["temperature"] == 0
    assert openai["reasoning_effort"] == "low"
