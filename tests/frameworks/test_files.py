"""The files of `teams/frameworks/`: what holds for each of them without its framework."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from durable_agent_team.contracts.program_kinds import CommandRun, PythonRun
from durable_agent_team.gateway.gateway_settings import GatewaySettings
from durable_agent_team.local_stack.stack_plan import LOCAL_MODEL
from durable_agent_team.team_files.team_file import load_team
from tests.frameworks import suite_packages
from tests.frameworks.staged_teams import TEAMS, names

LOCKS = [*sorted(TEAMS.glob("envs/*/requirements.lock")), suite_packages.LOCK]


@pytest.mark.parametrize("team", names())
def test_every_team_is_valid_and_names_functions_that_exist(team: str) -> None:
    for agent in load_team(TEAMS / f"{team}.yaml").team.agents.values():
        if isinstance(agent.run, PythonRun):
            module, _, function = agent.run.python.partition(":")
            tree = ast.parse((TEAMS / f"{module}.py").read_text(encoding="utf-8"))
            kinds = ast.FunctionDef | ast.AsyncFunctionDef
            assert function in {each.name for each in tree.body if isinstance(each, kinds)}
        else:
            assert isinstance(agent.run, CommandRun)
            assert (TEAMS / agent.run.command[1]).exists()


def test_four_frameworks_are_in_one_team() -> None:
    agents = load_team(TEAMS / "four_frameworks.yaml").team.agents.values()
    runs = [agent.run for agent in agents if isinstance(agent.run, PythonRun)]
    assert len({run.environment for run in runs}) == 4


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name)
def test_environments_are_pinned_with_hashes_and_name_no_place(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    without_comments = re.sub(r"(?m)^ *#.*\n", "", text)
    for entry in re.split(r"\n(?=\S)", without_comments.strip()):
        first, *hashes = entry.split("\n")
        assert re.match(r"[a-z0-9._-]+==[0-9]\S*", first), first
        assert hashes, first
        assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes), first


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name)
def test_locks_have_the_versions_that_were_asked_for(lock: Path) -> None:
    wanted = (lock.parent / "requirements.in").read_text(encoding="utf-8").split()
    text = lock.read_text(encoding="utf-8")
    for each in wanted:
        plain = re.sub(r"\[.*\]", "", each)
        assert f"{plain} " in text, each


def test_the_packages_of_node_are_pinned_with_hashes() -> None:
    asked = json.loads((TEAMS / "mastra" / "package.json").read_text(encoding="utf-8"))
    lock = json.loads((TEAMS / "mastra" / "package-lock.json").read_text(encoding="utf-8"))
    for name, version in asked["dependencies"].items():
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    packages = {path: each for path, each in lock["packages"].items() if path}
    assert [path for path, each in packages.items() if "integrity" not in each] == []
    assert [path for path, each in packages.items() if "resolved" in each] == []


def test_the_telemetry_of_crewai_is_off_before_it_is_imported() -> None:
    """It is read when crewai is imported."""
    crew = (TEAMS / "crewai_desk.py").read_text(encoding="utf-8")
    assert crew.index("CREWAI_DISABLE_TELEMETRY") < crew.index("from crewai")


def test_the_bundled_model_gets_the_requests_with_tools_that_it_ignores() -> None:
    """With the teams' own models file; the gateway refuses them otherwise."""
    given: dict[str, Any] = {
        "gateway_parent_key": "p" * 32,
        "gateway_secret": "s" * 40,
        "upstream_url": "local",
    }
    models = GatewaySettings(_env_file=None, gateway_models=TEAMS / "models.toml", **given)
    bundled, usual = (
        settings.models({}).find(LOCAL_MODEL)
        for settings in (models, GatewaySettings(_env_file=None, **given))
    )
    assert bundled is not None
    assert usual is not None
    assert (bundled.dialect.tools, usual.dialect.tools) == ("native", "none")
    assert bundled.price.default_max_tokens == usual.price.default_max_tokens
