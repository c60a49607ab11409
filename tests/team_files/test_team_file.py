"""A team file is read, or everything that is wrong with it is said at once."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from durable_agent_team.contracts.output_schema import schema_problem
from durable_agent_team.contracts.plan import Problem
from durable_agent_team.team_files import team_file, yaml_document
from durable_agent_team.team_files.team_file import TeamFileError, in_team_file, load_team

GOOD = """\
# yaml-language-server: $schema=team.schema.json
name: brief
goal: Brief the board
orchestrator: {budget_usd: 2}
agents:
  research: {role: Researcher, budget_usd: 0.5, inputs: [notes.md]}
tasks:
  - {id: market, agent: research, ask: List the facts., inputs: [sources/market.md]}
result: market
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "market.md").write_text("Demand grew by 7 %.")
    (tmp_path / "notes.md").write_text("\ufeffA note.", encoding="utf-8")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "team.yaml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str, **given: object) -> str:
    with pytest.raises(TeamFileError) as caught:
        load_team(write(folder, text), **given)  # type: ignore[arg-type]
    return str(caught.value).replace(str(folder) + "/", "")


def test_a_good_file_carries_its_documents_by_the_names_written_in_it(folder: Path) -> None:
    request = load_team(write(folder, GOOD))
    assert request.team.name == "brief"
    assert request.goal is None
    assert request.sources == {"notes.md": "A note.", "sources/market.md": "Demand grew by 7 %."}


def test_the_goal_and_inputs_of_the_command_line(folder: Path) -> None:
    other = folder / "other.md"
    other.write_text("Another document.")
    request = load_team(write(folder, GOOD), "Another goal", [("market", str(other))])
    assert request.goal == "Another goal"
    assert request.team.tasks[0].inputs == ("sources/market.md", str(other))
    assert request.sources[str(other)] == "Another document."


def test_a_file_that_a_program_wrote_as_json_has_its_characters(folder: Path) -> None:
    schema = {"type": "object", "properties": {"\U0001f333": {"enum": ["\U0001f600", "é"]}}}
    agents = {"a": {"role": "R", "budget_usd": 1}}
    tasks = [{"id": "t", "agent": "a", "ask": "Name a \U0001f333.", "output": schema}]
    team = {
        "name": "t",
        "goal": "A \U0001f333",
        "orchestrator": {"budget_usd": 1},
        "agents": agents,
    }
    request = load_team(write(folder, json.dumps({**team, "tasks": tasks})))
    assert request.team.goal == "A \U0001f333"
    assert request.team.tasks[0].ask == "Name a \U0001f333."
    assert request.team.tasks[0].output == schema


def test_amounts_are_exact(folder: Path) -> None:
    request = load_team(write(folder, GOOD.replace("0.5", "0.1")))
    assert str(request.team.agents["research"].budget_usd) == "0.1"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("goal: Brief", "goall: Brief"), ["team.yaml:3: goall:", "did you mean `goal`?"]),
        (("role: R", "rool: R"), ["team.yaml:6: agents.research.rool:", "did you mean `role`?",
                                  "agents.research.role: is missing"]),
        (("goal: Brief the board", "name: again"), ["team.yaml:3: name", "there twice"]),
        (("name: brief", "name: Big Brief"), ["team.yaml:2: name = 'Big Brief'", "small letter"]),
        (("budget_usd: 0.5", "budget_usd: lots"), ["budget_usd = 'lots'", "US dollars"]),
        (("budget_usd: 0.5", "budget_usd: -1"), ["team.yaml:6: agents.research.budget_usd = -1"]),
        (("budget_usd: 0.5", "budget_usd: 0.1234567"), ["at most six decimal places"]),
        (("id: market", "id: 7"), ["team.yaml:8: tasks[0].id = 7", "a text is needed"]),
        (("result: market", "final: maybe"), ["final = 'maybe'", "'orchestrator' or 'handoff'"]),
        (("ask: List", "output: essay, ask: List"), ["tasks[0].output = 'essay'", "JSON Schema"]),
        (("notes.md", "none.md"), ["team.yaml:6: agents.research.inputs[0] = none.md",
                                   "there is no file none.md"]),
        (("[notes.md]", "[sources]"), ["sources cannot be read (Is a directory)"]),
        (("agents:", "agents: ["), ["team.yaml:", "YAML"]),
        (("  research:", "\tresearch:"), ["team.yaml:6: YAML", "YAML takes no tabs"]),
        (("goal: Brief", "goal: Brief: now"), ["team.yaml:3: YAML", "contains `: ` in quotes"]),
        (("goal: Brief", "goal: *ref"), ["team.yaml:3: YAML", "begins with `*` in quotes"]),
        (("budget_usd: 0.5", "budget_usd: !!int ''"), ["team.yaml:6: YAML: '' does not fit"]),
        (("goal: Brief", "goal: !!bool"), ["team.yaml:3: YAML: 'the board' does not fit the tag"]),
        (("goal: Brief", "goal: !!timestamp 2026-99-99 #"), ["team.yaml:3: YAML", "!!timestamp"]),
        (("budget_usd: 0.5", "budget_usd: !!float x"), ["team.yaml:6: YAML", "leave the tag out"]),
        (("goal: Brief", 'goal: "\\uD83D" #'), ["team.yaml:3: goal", "half of a character"]),
        (("goal: Brief", 'goal: "Brief'), ["team.yaml:3: YAML: a quotation mark is not closed"]),
        (("[notes.md]}", "[notes.md]"), ["team.yaml:7: YAML", "close the `{` of line 6"]),
        (("ask: List", "output: {type: list}, ask: List"),
         ["team.yaml:8: tasks[0].output = $.type:", "'list' is not a type (one of object, array"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place_and_remedy(
    folder: Path, change: tuple[str, str], expected: list[str]
) -> None:
    said = problems(folder, GOOD.replace(*change, 1))
    for text in expected:
        assert text in said


def test_a_problem_of_the_whole_team_has_the_line_that_it_is_about(folder: Path) -> None:
    text = GOOD.replace("result: market", "  - {id: market, agent: research, ask: Again.}")
    path = write(folder, text)
    wrong = [
        Problem(field=field, what="is wrong")
        for field in (
            "orchestrator.model",
            "agents.research.budget_usd",
            "agents.research.tools[0].server",
            "tasks.market",
            "tasks.absent.agent",
            "goal",
            "result",
        )
    ]
    assert [each.line for each in in_team_file(path, wrong)] == [4, 6, 6, 9, 7, 3, None]
    path.unlink()
    assert [each.line for each in in_team_file(path, wrong[:1])] == [None]


def test_everything_at_once(folder: Path) -> None:
    text = GOOD.replace("goal:", "gaol:").replace("notes.md", "none.md").replace("0.5", "[]")
    said = problems(folder, text, inputs=[("markt", "x.md")], goal="")
    assert len(said.splitlines()) == 5
    assert "--input = markt=x.md: no such task (did you mean `market`?)" in said
    assert "--goal: 0 characters" in said


def test_a_missing_file_and_an_empty_one(folder: Path) -> None:
    with pytest.raises(TeamFileError, match="there is no file"):
        load_team(folder / "absent.yaml")
    assert "does not contain a team" in problems(folder, "")
    assert "does not contain a team" in problems(folder, "- a list")


def test_documents_that_are_no_text_or_too_large(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "notes.md").write_bytes(b"\xff\xfe\x00")
    assert "is not UTF-8 text (byte 0)" in problems(folder, GOOD)
    (folder / "notes.md").write_text("x" * 1_000_001)
    said = problems(folder, GOOD)
    assert "1,000,001 characters, the maximum is 1,000,000 (shorten it, or split it" in said
    (folder / "notes.md").write_text("x" * 900_000)
    (folder / "sources" / "market.md").write_text("y" * 700_000)
    assert len(load_team(write(folder, GOOD)).sources) == 2, "what fits depends on the store"
    monkeypatch.setattr(team_file, "MAX_ALL", 1_500_000)
    assert "1,600,000 bytes in all, the maximum is 1,500,000" in problems(folder, GOOD)


def test_every_task_can_have_a_document_of_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = ""
    for number in range(1_100):
        (folder / f"{number}.md").write_text(f"Invoice {number}.")
        tasks += f"  - {{id: t{number}, agent: research, ask: Read., inputs: [{number}.md]}}\n"
    team = GOOD.replace("goal:", "max_tasks: 2000\ngoal:").replace("result:", f"{tasks}result:")
    assert len(load_team(write(folder, team)).sources) == 1_102
    monkeypatch.setattr(team_file, "MAX_DOCUMENTS", 1_000)
    assert "inputs: 1,102 documents in all, the maximum is 1,000 (put" in problems(folder, team)


def test_aliases_do_not_explode(folder: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    for new, old in zip("bcdefghi", "abcdefgh", strict=True):
        bomb += f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    said = problems(folder, bomb)
    assert "has more than 200,000 values, each alias counted with all that it stands for" in said
    assert "or refers to itself (write values out" in problems(folder, "a: &a [*a]\n")


def test_a_file_with_too_many_values_is_read_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader in Python, which shows the line of an error, takes half a minute for it."""
    monkeypatch.setattr(yaml_document, "_Loader", None)
    assert "has more than 200,000 values" in problems(folder, f"a: {list(range(200_001))}\n")


def test_a_schema_that_many_tasks_have_is_checked_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []

    def check(schema: Mapping[str, Any]) -> Problem | None:
        checked.append(schema)
        return schema_problem(schema)

    monkeypatch.setattr(team_file, "schema_problem", check)
    outputs = ["{type: record}", "{type: object}"] * 20 + ["{type: list}"]
    tasks = "".join(
        f"  - {{id: t{at}, agent: research, ask: Read., output: {output}}}\n"
        for at, output in enumerate(outputs)
    )
    said = problems(folder, GOOD.replace("result: market", f"{tasks}result: market"))
    assert [each["type"] for each in checked] == ["record", "object", "list"]
    assert said.count("'record' is not a type") == 20
    assert said.count("'list' is not a type") == 1


def test_a_name_that_means_two_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "notes.md").write_text("Not that note.")
    monkeypatch.chdir(elsewhere)
    said = problems(folder, GOOD, inputs=[("market", "notes.md")])
    assert "gives this name to another file" in said


@pytest.mark.parametrize("name", ["../secret.md", "{outside}/secret.md", "sources/link.md"])
def test_a_team_file_names_no_document_outside_its_folder(folder: Path, name: str) -> None:
    outside = folder.parent / f"{folder.name}-outside"
    outside.mkdir()
    for secret in (folder.parent / "secret.md", outside / "secret.md"):
        secret.write_text("not for a model")
    (folder / "sources" / "link.md").symlink_to(outside / "secret.md")
    name = name.format(outside=outside)
    said = problems(folder, GOOD.replace("sources/market.md", name))
    assert f"team.yaml:8: tasks[0].inputs[0] = {name}: this is outside" in said
    assert "--input TASK=FILE" in said


def test_a_document_of_any_place_can_be_given_by_hand(folder: Path) -> None:
    other = folder.parent / f"{folder.name}-by-hand.md"
    other.write_text("Chosen by a person.")
    request = load_team(write(folder, GOOD), inputs=[("market", str(other))])
    assert request.sources[str(other)] == "Chosen by a person."


def test_a_folder_reached_by_a_link_is_a_folder_like_any_other(folder: Path) -> None:
    write(folder, GOOD)
    link = folder.parent / f"{folder.name}-link"
    link.symlink_to(folder)
    assert load_team(link / "team.yaml").sources["notes.md"] == "A note."


@pytest.mark.parametrize(
    ("written", "meant"), [("010", 10), ("10", 10), ("+7", 7), ("1_0", 10), ("20.0", 20)]
)
def test_a_number_means_what_it_looks_like(folder: Path, written: str, meant: int) -> None:
    team = load_team(write(folder, f"{GOOD}max_parallel: {written}\n")).team
    assert team.max_parallel == meant


@pytest.mark.parametrize("written", ["1:30", "0x", "ten", "1e", "0b12"])
def test_what_looks_like_no_number_is_none(folder: Path, written: str) -> None:
    assert "max_parallel" in problems(folder, f"{GOOD}max_parallel: {written}\n")


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ("max_parallel: yes", "max_parallel = 'true': a whole number is needed here"),
        ("review_rounds: on", "review_rounds = 'true': a whole number is needed here"),
        ("orchestrator: {budget_usd: 2, timeout_seconds: yes}", "a number is needed here"),
        ("orchestrator: {budget_usd: 2, temperature: off}", "a number is needed here"),
        ("orchestrator: {budget_usd: 2, retry: {backoff: true}}", "a number is needed here"),
        ("orchestrator: {budget_usd: 1_000}", "an amount in US dollars is needed here"),
        ("orchestrator: {budget_usd: 1,5}", "a key is a text (put it in quotes, or leave it out)"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_how_it_is_written(
    folder: Path, key: str, asked: str
) -> None:
    found = problems(folder, GOOD.replace("orchestrator: {budget_usd: 2}", key))
    assert asked in found
    assert "(" in found


@pytest.mark.parametrize(
    "value",
    ["!!timestamp soon", "!!timestamp 2026-99-99", r'"\UFFFFFFFF"', r'"\U00110000"', r'"\xZZ"'],
)
def test_what_yaml_cannot_read_is_a_problem_with_its_line(folder: Path, value: str) -> None:
    found = problems(folder, GOOD.replace("Brief the board", value))
    assert found.startswith("team.yaml:3: YAML: ")
    assert "\n" not in found


def test_a_key_cannot_add_lines_to_the_list_of_problems(folder: Path) -> None:
    key = r'"x\nteam.yaml:1: name: all is well\e[2J\u202e"'
    found = problems(folder, GOOD + f"{key}: 1\n{key}: 2\n")
    assert len(found.splitlines()) == 2
    assert found.isprintable() or all(line.isprintable() for line in found.splitlines())
