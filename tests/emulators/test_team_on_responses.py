"""A team whose models speak OpenAI's Responses: planned, and with an agent that thinks between the
calls of its tools."""

import json
import uuid
from pathlib import Path
from typing import Any

from durable_agent_team.contracts.run import RunReport, RunStatus
from durable_agent_team.contracts.spend import LedgerAgreement
from tests.emulators.conftest import _connected
from tests.emulators.responses_api import Json, ResponsesApi, call, reasoning, said
from tests.emulators.script import ANSWERS, team
from tests.gateway.test_responses_upstream import MODELS
from tests.support.packages import all_rooms

MODEL = "gpt-6-luna"


def metals() -> dict[str, Any]:
    """The small team, planned, without the setting that Responses do not have."""
    found = team(MODEL, planned=True, effort="low")
    for each in (found["orchestrator"], *found["agents"].values()):
        each.pop("seed")
    return found


def prompt_of(body: Json) -> str:
    return "\n".join(
        each["content"] for each in body["input"] if isinstance(each.get("content"), str)
    )


def plans(body: Json) -> tuple[list[Json], Json]:
    found = next((each for part, each in ANSWERS.items() if part in prompt_of(body)), "Done.")
    text = found if isinstance(found, str) else json.dumps(found)
    return [reasoning("rs_plan"), said(text)], {}


async def run(upstream: ResponsesApi, given: dict[str, Any], folder: Path) -> RunReport:
    models = folder / "models.toml"
    models.write_text(MODELS.format(url=upstream.url))
    keys = {"NEW_KEY": upstream.key}
    async with (
        _connected() as client,
        all_rooms(client, environment=keys, gateway_models=models) as rooms,
    ):
        handle = await rooms.start({"team": given}, f"run-{uuid.uuid4()}")
        report: RunReport = await handle.result()
        assert report.spend.total.spent_usd == rooms.ledger_usd() > 0
    assert upstream.refusals == []
    assert report.status is RunStatus.COMPLETED, report.failure
    assert report.spend.ledger_agrees is LedgerAgreement.YES
    return report


async def test_a_planned_team_runs(tmp_path: Path) -> None:
    async with ResponsesApi(plans) as upstream:
        report = await run(upstream, metals(), tmp_path)
    assert report.answer is not None
    assert len(upstream.requests) == 4
    assert upstream.requests[0]["text"]["format"]["type"] == "json_schema"
    assert all(each["reasoning"] == {"effort": "low"} for each in upstream.requests)


SUMS = ("0.1 + 0.2", "2 ** 64", "10 / 4")


def calculates(body: Json) -> tuple[list[Json], Json]:
    """Three turns with a call each, the second with two pieces of reasoning; then the answer."""
    turn = sum(each["type"] == "function_call_output" for each in body["input"])
    if turn == len(SUMS):
        return [reasoning("rs_end"), said("All three are done.")], {}
    made = {**call(f"c{turn}", expression=SUMS[turn]), "name": "calculate"}
    thought = [reasoning(f"rs_{turn}_{number}") for number in range(1 + (turn == 1))]
    return [*thought, made], {}


async def test_an_agent_thinks_between_its_calls_and_gets_its_thoughts_back(tmp_path: Path) -> None:
    given = {
        "name": "sums",
        "goal": "Three sums.",
        "final": "handoff",
        "orchestrator": {"model": MODEL, "budget_usd": 1},
        "agents": {
            "clerk": {
                "role": "Clerk",
                "model": MODEL,
                "budget_usd": 1,
                "tools": ["calculate"],
                "reasoning_effort": "high",
            }
        },
        "tasks": [{"id": "sums", "agent": "clerk", "ask": "Calculate."}],
        "result": "sums",
    }
    async with ResponsesApi(calculates) as upstream:
        report = await run(upstream, given, tmp_path)
    assert report.answer == "All three are done."
    assert len(upstream.requests) == 4
    *_, last = upstream.requests
    kinds = [
        each.get("id") or each.get("call_id") for each in last["input"] if each["type"] != "message"
    ]
    assert kinds == ["rs_0_0", "c0", "c0", "rs_1_0", "rs_1_1", "c1", "c1", "rs_2_0", "c2", "c2"]
    results = [each["output"] for each in last["input"] if each["type"] == "function_call_output"]
    assert results == ["0.3", "18446744073709551616", "2.5"]
    assert all(each["reasoning"] == {"effort": "high"} for each in upstream.requests)
