"""What `validate` accepts, `start` accepts, and so does the run: as far as a file can tell."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable_agent_team.cli.exit_codes import CommandError
from durable_agent_team.cli.provider_catalog import Provider
from durable_agent_team.cli.request_file import load_request
from durable_agent_team.cli.team_findings import check_team
from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.rules.size_limits import start_problems
from durable_agent_team.rules.validation import team_problems
from durable_agent_team.rules.value_limits import START, value_problem

CATALOG = ModelCatalog(
    models=(ModelPrice(model="m", input_usd=Decimal(1), output_usd=Decimal(2)),),
    default_model="m",
    priced=True,
    max_call_seconds=600,
)
PROVIDER = Provider(CATALOG, Capabilities(hard_limit=True, replay=True, ledger=True, transfer=True))

names = st.sampled_from(["a", "b", "c", "Bad Name", "orchestrator", ""])
budgets = st.sampled_from([None, 1, "0.01", 0, -1, "lots", True])
callers = {
    "budget_usd": budgets,
    "model": st.sampled_from([None, "m", "other", 5]),
    "on_exhausted": st.sampled_from(["park", "fallback", "shrug"]),
    "fallback_model": st.sampled_from([None, "m", "other"]),
    "timeout_seconds": st.sampled_from([30, 900, 0]),
    "max_tokens": st.sampled_from([1, 512, 0, 10**9]),
    "max_tokns": st.just(1),
    "inputs": st.lists(st.sampled_from(["doc.md", "none.md", "../x.md"]), max_size=2),
}
agents = st.fixed_dictionaries({}, optional={"role": st.sampled_from(["Reader", "", 7]), **callers})
tasks = st.fixed_dictionaries(
    {},
    optional={
        "id": names,
        "agent": names,
        "ask": st.sampled_from(["Read.", "", None, ["x"]]),
        "depends_on": st.lists(names, max_size=3),
        "inputs": callers["inputs"],
        "output": st.sampled_from(
            ["text", "findings", "prose", {"type": "object"}, {"type": "x"}, {"$ref": "#/y"}, 3]
        ),
        "checks": st.sampled_from([{}, {"min_length": 9, "max_length": 3}, {"x": 1}, "no"]),
    },
)
teams = st.fixed_dictionaries(
    {"name": names, "agents": st.dictionaries(names, agents, max_size=3)},
    optional={
        "goal": st.sampled_from(["Decide.", "", None, 5]),
        "budget_usd": budgets,
        "orchestrator": st.fixed_dictionaries({}, optional=callers),
        "tasks": st.lists(tasks, max_size=4),
        "result": names,
        "final": st.sampled_from(["handoff", "orchestrator"]),
        "max_tasks": st.sampled_from([1, 50]),
    },
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(team=teams)
def test_what_validate_accepts_start_accepts(team: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "doc.md").write_text("A document.")
    file = tmp_path / "team.yaml"
    file.write_text(yaml.safe_dump(team))
    found = check_team(file, None, [], PROVIDER, has_store=False)
    accepted = not any(each.level == "error" for each in found.findings)
    try:
        request = load_request(file, None, [])
    except CommandError:
        assert not accepted
        return
    if accepted:
        payload = json.loads(request.model_dump_json(exclude_unset=True))
        assert value_problem(payload, START) is None
        assert team_problems(RunRequest.model_validate(payload), CATALOG) == []
        assert list(start_problems(request)) == []


SOUND = {
    "name": "sound",
    "goal": "Decide.",
    "agents": {"a": {"role": "Reader", "budget_usd": 1}},
    "tasks": [{"id": "a", "agent": "a", "ask": "Read.", "inputs": ["doc.md"]}],
    "result": "a",
    "final": "handoff",
}


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    change=st.sampled_from(
        [
            {"goal": 5},
            {"agents": {"a": {"role": "Reader", "budget_usd": "lots"}}},
            {"agents": {"a": {"role": "", "budget_usd": 1}}},
            {"agents": {"a": {"role": "Reader", "budget_usd": 1, "rol": 1}}},
            {"tasks": [{"id": "a", "agent": "a", "ask": ""}]},
            {"tasks": [{"id": "a", "agent": "a", "ask": "Read.", "inputs": ["none.md"]}]},
            {"tasks": [{"id": "a", "agent": "a", "ask": "Read.", "output": {"type": "x"}}]},
            {"tasks": [{"id": "a", "agent": "a", "ask": "Read.", "output": "essay"}]},
            {"tasks": [*SOUND["tasks"], {"id": "Bad", "agent": "a", "ask": "Read."}]},
            {"max_parallel": 0},
        ]
    )
)
def test_one_mistake_is_one_error(change: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "doc.md").write_text("A document.")
    file = tmp_path / "team.yaml"
    file.write_text(yaml.safe_dump({**SOUND, **change}))
    found = check_team(file, None, [], PROVIDER, has_store=False)
    errors = [each for each in found.findings if each.level == "error"]
    assert len(errors) == 1, errors
