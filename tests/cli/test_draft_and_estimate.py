"""`estimate`, `schema` and `init`."""

import asyncio
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from durable_agent_team.cli.team_template import schema_text, team_schema
from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Team
from durable_agent_team.process.project_root import TEAM_SCHEMA
from durable_agent_team.rules.estimate import Estimate
from durable_agent_team.rules.estimate import estimate as bounds_of
from tests.cli.support import ROOT, TEAM, Starter, lines, new_id
from tests.cli.test_task_and_charges import PAYLOAD, rooms
from tests.cli.test_validate_team import alone, gateway
from tests.support.packages import Rooms

__all__ = ["alone", "gateway", "rooms"]

EXAMPLES = sorted((ROOT / "teams").glob("*.yaml"))
CATALOG = ModelCatalog(
    models=(ModelPrice(model="m", input_usd=Decimal(1), output_usd=Decimal(2)),),
    default_model="m",
    priced=True,
)


def test_the_committed_schema_is_up_to_date() -> None:
    assert TEAM_SCHEMA.read_text() == schema_text() + "\n", (
        "run `.venv/bin/python starter.py schema > teams/team.schema.json`"
    )


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_every_example_names_the_schema_and_conforms_to_it(file: Path) -> None:
    text = file.read_text()
    assert text.startswith("# yaml-language-server: $schema=team.schema.json\n")
    jsonschema.Draft202012Validator.check_schema(team_schema())
    jsonschema.validate(yaml.safe_load(text), team_schema())


def test_the_schema_rejects_an_unknown_key() -> None:
    wrong = yaml.safe_load(TEAM) | {"butget": 1}
    with pytest.raises(jsonschema.ValidationError, match="butget"):
        jsonschema.validate(wrong, team_schema())


async def test_schema_prints_the_schema_indented_or_on_one_line(alone: Starter) -> None:
    whole = await alone("schema")
    line = await alone("schema", "--json")
    assert json.loads(whole.out) == json.loads(line.out) == team_schema()
    assert len(lines(line.out)) == 1


def test_init_writes_a_file_that_validates(alone: Starter, tmp_path: Path) -> None:
    def starter(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(ROOT / "starter.py"), *words], cwd=tmp_path, text=True,
            env=alone.environment(), capture_output=True, timeout=60, check=False,
        )  # fmt: skip

    ended = starter("init", "my-team")
    assert (ended.returncode, ended.stdout) == (0, "my-team.yaml\n"), ended.stderr
    text = (tmp_path / "my-team.yaml").read_text()
    named = text.splitlines()[0].partition("$schema=")[2]
    assert Path(os.path.normpath(tmp_path / named)) == TEAM_SCHEMA
    checked = starter("validate", "my-team.yaml", "--json")
    assert (checked.returncode, checked.stdout) == (0, "")
    jsonschema.validate(yaml.safe_load(text), team_schema())
    again = starter("init", "my-team")
    assert again.returncode == 2
    assert "is there already" in again.stderr
    assert (tmp_path / "my-team.yaml").read_text() == text
    assert json.loads(starter("init", "other", "--json").stdout)["file"] == "other.yaml"
    wrong = starter("init", "My Team")
    assert wrong.returncode == 2
    assert "NAME = My Team" in wrong.stderr


def estimated(team: dict[str, Any], **sources: str) -> Estimate:
    return bounds_of(RunRequest(team=Team.model_validate(team), sources=sources), CATALOG)


async def test_no_run_costs_more_than_estimated(starter: Starter, rooms: Rooms) -> None:
    handle = await rooms.start(PAYLOAD, new_id())
    report = await handle.result()
    found = estimated(PAYLOAD["team"])
    assert found.most_usd is not None
    assert 0 < report.spend.total.spent_usd <= found.most_usd
    most = {each.agent: each.most_usd or 0 for each in found.agents}
    for agent in report.spend.agents:
        assert agent.spent_usd <= most[agent.agent]


def test_an_input_counts_for_every_call_that_may_contain_it() -> None:
    team = yaml.safe_load(TEAM)
    plain = estimated(team)
    team["tasks"][0]["inputs"] = ["a"]
    more = estimated(team, a="x" * 1000)
    facts = more.calls[0]
    assert (facts.subject, facts.input_bytes, facts.calls) == ("facts", 1000, 3)
    assert facts.inputs_usd == Decimal("0.003")
    assert facts.usd is not None
    assert plain.calls[0].usd is not None
    assert facts.usd - plain.calls[0].usd == Decimal("0.003195"), "and its name and fence, thrice"


@pytest.mark.parametrize(("share", "status"), [("0.5", "parked"), ("1", "completed")])
async def test_a_call_needs_its_least_cost_unspent(
    starter: Starter, rooms: Rooms, share: str, status: str
) -> None:
    (facts, *_) = estimated(PAYLOAD["team"]).calls
    assert facts.least_usd is not None
    limit = str((facts.least_usd * Decimal(share)).quantize(Decimal("0.000001")))
    agents = {"research": {"role": "Researcher", "budget_usd": limit}}
    handle = await rooms.start({"team": {**PAYLOAD["team"], "agents": agents}}, new_id())
    while (now := await handle.query("state"))["status"] not in ("parked", "completed"):
        await asyncio.sleep(0.05)
    if status == "parked":
        await handle.signal("cancel", {})
    assert now["status"] == status


def test_a_budget_limits_the_estimate_of_an_agent() -> None:
    team = yaml.safe_load(TEAM.replace("Editor, budget_usd: 1", "Editor, budget_usd: 0.001"))
    found = {each.agent: each for each in estimated(team).agents}
    assert found["editor"].most_usd == Decimal("0.001") < (found["editor"].usd or 0)
    assert found["research"].most_usd == found["research"].usd
    assert estimated(team | {"budget_usd": 7}).most_usd != Decimal(7)
    assert estimated(team | {"budget_usd": Decimal("0.0001")}).most_usd == Decimal("0.0001")


def test_a_planned_team_counts_max_tasks_for_every_agent() -> None:
    team = yaml.safe_load(TEAM) | {"tasks": [], "result": None, "max_tasks": 4}
    found = estimated(team)
    assert found.planned
    assert [(each.subject, each.calls) for each in found.calls] == [
        ("plan", 3), ("(planned)", 12), ("(planned)", 12), ("answer", 3),
    ]  # fmt: skip


def test_reviews_count_with_the_tasks_that_they_redo_and_add() -> None:
    team = yaml.safe_load(TEAM)
    plain, reviewed = estimated(team), estimated(team | {"review_rounds": 2})
    assert [(each.subject, each.calls) for each in reviewed.calls] == [
        ("facts", 9), ("prices", 9), ("text", 9), ("(added)", 27), ("(added)", 27),
        ("review", 6), ("answer", 3),
    ]  # fmt: skip
    for one, more in zip(plain.calls[:3], reviewed.calls[:3], strict=True):
        assert one.usd is not None
        assert more.usd == 3 * one.usd
    assert reviewed.calls[-1].prompt_bytes > plain.calls[-1].prompt_bytes
    planned = estimated(team | {"tasks": [], "result": None, "max_tasks": 4, "review_rounds": 1})
    assert [(each.subject, each.calls) for each in planned.calls] == [
        ("plan", 3), ("(planned)", 24), ("(planned)", 24), ("review", 3), ("answer", 3),
    ]  # fmt: skip


async def test_estimate_prints_tasks_agents_and_the_sum(alone: Starter, gateway: str) -> None:
    priced = TEAM.replace("role: ", "model: small, role: ")
    file = alone.team(priced.replace("{budget", "{model: small, budget"))
    ended = await alone("estimate", file, ATXP_LLM_URL=gateway)
    assert ended.code == 0, ended.err
    firsts = [line.split()[0] for line in lines(ended.out)]
    assert {"facts", "prices", "text", "answer", "research", "editor"} <= set(firsts)
    found = Estimate.model_validate_json(
        (await alone("estimate", file, "--json", ATXP_LLM_URL=gateway)).out
    )
    assert f"{found.most_usd:.6f}" in next(x for x in lines(ended.out) if x.startswith("in all"))
    ended = await alone("estimate", alone.team(), ATXP_LLM_URL=gateway)
    assert "Without a price: (none)." in ended.out
    ended = await alone("estimate", file)
    assert ended.code == 3
    assert "ATXP_LLM_URL" in ended.err
