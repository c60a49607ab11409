"""Agents that are programs in a team file: paths, and every mistake with its place and remedy."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from durable_agent_team.contracts.program_kinds import CommandRun, PythonRun, RemoteRun
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Team
from durable_agent_team.rules.budgets import budgets_usd
from durable_agent_team.rules.estimate import estimate
from durable_agent_team.rules.fingerprints import task_fingerprint
from durable_agent_team.rules.plan_costs import task_costs_usd
from durable_agent_team.rules.validation import team_problems
from durable_agent_team.team_files.team_file import TeamFileError, load_team

PRICED = ModelCatalog(
    models=(ModelPrice(model="m", input_usd=Decimal(1), output_usd=Decimal(1)),), priced=True
)


def written(folder: Path, run: Any, **agent: Any) -> Path:
    (folder / "envs" / "crew").mkdir(parents=True, exist_ok=True)
    (folder / "envs" / "crew" / "requirements.lock").touch()
    (folder / "envs" / "bare").mkdir(exist_ok=True)
    program = folder / "agent.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    crew = {"role": "R", "budget_usd": 1, "run": run, **agent}
    team = {
        "name": "t",
        "goal": "Decide something.",
        "final": "handoff",
        "agents": {"crew": crew},
        "tasks": [{"id": "x", "agent": "crew", "ask": "Go."}],
    }
    file = folder / "team.yaml"
    file.write_text(yaml.safe_dump(team))
    return file


def run_in(file: Path) -> Any:
    return load_team(file).team.agents["crew"].run


def test_paths_are_relative_to_the_team_file_and_travel_as_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, {"python": "market.crews:research", "environment": "envs/crew"})
    monkeypatch.chdir(tmp_path)
    assert run_in(Path("team.yaml")) == PythonRun(
        python="market.crews:research",
        environment=str(tmp_path / "envs" / "crew"),
        directory=str(tmp_path),
    )
    assert run_in(file) == run_in(Path("team.yaml"))


def test_a_command_is_found_by_its_path_or_its_name(tmp_path: Path) -> None:
    file = written(tmp_path, {"command": ["./agent.sh", "x"], "env": {"KEY": "$TAVILY_KEY"}})
    run = run_in(file)
    assert run.command == (str(tmp_path / "agent.sh"), "x")
    assert run.variables == {"KEY": "TAVILY_KEY"}
    run = run_in(written(tmp_path, {"command": ["sh", "-c", "cat"], "directory": "envs"}))
    assert isinstance(run, CommandRun)
    assert (run.command[0], run.directory) == ("sh", str(tmp_path / "envs"))


def test_a_remote_agent_has_no_paths(tmp_path: Path) -> None:
    run = run_in(written(tmp_path, {"a2a": "https://agents.example/crew"}))
    assert run == RemoteRun(a2a="https://agents.example/crew")


WRONG: list[tuple[Any, str, str, str]] = [
    ({"python": "m:f", "environment": "envs/no"}, "environment", "no such directory", "team file"),
    ({"python": "m:f", "environment": "envs/bare"}, "environment", "requirements.lock", "hashes"),
    ({"python": "m:f", "directory": "no"}, "directory", "no such directory", "team file"),
    ({"python": "m.f"}, "python", "not a function of a module", "market.crews:research"),
    ({"python": "m:"}, "python", "not a function of a module", "market.crews:research"),
    ({"python": "a b:c"}, "python", "not a function of a module", "market.crews:research"),
    ({"command": ["no-such-program"]}, "command", "no such program", "./agent.sh"),
    ({"command": ["./no.sh"]}, "command", "no such program", "relative to `directory`"),
    ({"command": ["./team.yaml"]}, "command", "cannot be executed", "relative"),
    ({"command": []}, "command", "empty", "fill it in"),
    ({"command": ["sh", "a\0b"]}, "command", "NUL character", "leave it out"),
    ({"a2a": "http://[::1/"}, "a2a", "not the address of a web server", "host or its port"),
    ({"a2a": "http://a]\x1b/"}, "a2a", "not the address of a web server", "host or its port"),
    ({"a2a": "http://x:99999/"}, "a2a", "not the address of a web server", "host or its port"),
    ({"a2a": "http://x..example/"}, "a2a", "not the address of a web server", "host or its port"),
    ({"a2a": "ftp://x"}, "a2a", "http:// or https://", "https://example.com/agent"),
    ({"a2a": "x"}, "a2a", "http:// or https://", "https://example.com/agent"),
    ({"python": "m:f", "env": ["SEALING_KEY"]}, "env", "every agent", "AGENT_API_KEY"),
    ({"python": "m:f", "env": {"X": "$ATXP_API_KEY"}}, "env", "every agent", "AGENT_API_KEY"),
    ({"python": "m:f", "env": ["UPSTREAM_API_KEY"]}, "env", "every agent", "AGENT_API_KEY"),
    ({"python": "m:f", "env": ["UPSTREAM_OPENAI_API_KEY"]}, "env", "every agent", "AGENT_API"),
    ({"python": "m:f", "env": ["AGENT_MODEL"]}, "env", "set by the worker", "another name"),
    ({"python": "m:f", "env": ["1A"]}, "env", "not names", "TAVILY_KEY"),
    ({"python": "m:f", "env": {"A": "literal"}}, "env", "not names", "TAVILY_KEY"),
    ({"a2a": "http://x", "headers": {"X-Key": "$ATXP_API_KEY"}}, "headers", "every agent", "leave"),
    ({"python": "m:f", "environmnt": "envs/crew"}, "environmnt", "not known", "`environment`"),
    ({"command": ["sh"], "environment": "envs/crew"}, "environment", "not known", "known here"),
]


@pytest.mark.parametrize(("run", "key", "what", "remedy"), WRONG)
def test_what_is_wrong_is_said_with_its_place_and_remedy(
    tmp_path: Path, run: Any, key: str, what: str, remedy: str
) -> None:
    with pytest.raises(TeamFileError) as caught:
        load_team(written(tmp_path, run))
    (found,) = caught.value.problems
    assert found.problem.field.startswith(f"agents.crew.run.{key}")
    assert what in found.problem.what
    assert remedy in found.problem.remedy
    assert found.line is not None


@pytest.mark.parametrize(
    "run",
    [
        {"command": ["sh"], "env": {"KEY": "S3CRET"}},
        {"command": ["sh"], "env": ["KEY=S3CRET"]},
        {"command": ["sh"], "env": "KEY=S3CRET"},
        {"a2a": "http://x", "headers": {"Authorization": "Bearer S3CRET"}},
        {"a2a": "http://x", "headers": ["Authorization: S3CRET"]},
    ],
)
def test_a_key_that_is_written_in_the_file_is_not_repeated(tmp_path: Path, run: Any) -> None:
    with pytest.raises(TeamFileError) as caught:
        load_team(written(tmp_path, run))
    (found,) = caught.value.problems
    assert found.problem.field.startswith("agents.crew.run.")
    assert "S3CRET" not in str(found.problem)


@pytest.mark.parametrize("run", [{}, 3, {"python": "m:f", "a2a": "http://x"}, {"shell": "ls"}])
def test_a_program_is_of_exactly_one_kind(tmp_path: Path, run: Any) -> None:
    with pytest.raises(TeamFileError) as caught:
        load_team(written(tmp_path, run))
    (found,) = caught.value.problems
    assert found.problem.field == "agents.crew.run"
    assert "exactly one of" in found.problem.remedy


def test_what_is_not_there_is_said_together_with_other_mistakes(tmp_path: Path) -> None:
    file = written(tmp_path, {"command": ["no-such-program"]}, max_tokens="many")
    with pytest.raises(TeamFileError) as caught:
        load_team(file)
    fields = {each.problem.field for each in caught.value.problems}
    assert fields == {"agents.crew.max_tokens", "agents.crew.run.command"}


def request(tmp_path: Path, **agent: Any) -> RunRequest:
    return load_team(written(tmp_path, {"command": ["sh"]}, **agent))


def test_a_program_needs_no_model_and_may_run_longer_than_a_call(tmp_path: Path) -> None:
    limited = PRICED.model_copy(update={"max_call_seconds": 60.0})
    assert team_problems(request(tmp_path, timeout_seconds=900), limited) == []
    named = team_problems(request(tmp_path, model="unknown"), limited)
    assert [each.field for each in named] == ["agents.crew.model"]


def test_a_program_without_a_limit_is_refused_unless_the_team_has_one(tmp_path: Path) -> None:
    problems = team_problems(request(tmp_path, budget_usd=None), PRICED)
    assert [each.field for each in problems] == ["agents.crew.budget_usd"]


def shared(agents: dict[str, Any]) -> dict[str, Decimal]:
    team = Team.model_validate(
        {
            "name": "t",
            "budget_usd": 1,
            "final": "handoff",
            "agents": agents,
            "tasks": [{"id": f"t{name}", "agent": name, "ask": "Go."} for name in agents],
        }
    )
    return budgets_usd(team, {}, PRICED)


def test_a_programs_share_is_an_equal_one_and_the_others_share_the_rest() -> None:
    program = {"role": "R", "run": {"a2a": "http://x"}}
    small, large = ({"role": "R", "model": "m", "max_tokens": tokens} for tokens in (100, 10_000))
    found = shared({"p": program, "small": small, "large": large})
    assert found["p"] == Decimal("0.333333")
    assert found["large"] > found["small"]
    assert sum(found.values()) <= 1
    only = shared({"p": program, "q": {**program, "budget_usd": "0.4"}})
    assert only == {"p": Decimal("0.6"), "q": Decimal("0.4")}


def test_an_estimate_says_up_to_its_budget(tmp_path: Path) -> None:
    found = estimate(request(tmp_path), PRICED)
    (call,) = found.calls
    assert (call.program, call.usd) == (True, None)
    assert found.agents[0].most_usd == found.most_usd == 1


def test_a_plan_may_use_programs_whatever_they_cost(tmp_path: Path) -> None:
    team = request(tmp_path).team
    assert task_costs_usd(team, team.tasks, team.tasks, {}, PRICED) == {"x": None}


def test_another_program_is_another_request(tmp_path: Path) -> None:
    first = request(tmp_path).team
    run = CommandRun(command=("cat",))
    other = first.model_copy(
        update={"agents": {"crew": first.agents["crew"].model_copy(update={"run": run})}}
    )
    model = first.model_copy(
        update={"agents": {"crew": first.agents["crew"].model_copy(update={"run": None})}}
    )
    prints = {task_fingerprint(team, first.tasks[0], {}, {}, "") for team in (first, other, model)}
    assert len(prints) == 3


def test_a_run_without_programs_is_sent_as_before() -> None:
    team = Team.model_validate({"name": "t", "agents": {"a": {"role": "R"}}})
    assert "run" not in json.dumps(team.model_dump(mode="json", exclude_unset=True))
