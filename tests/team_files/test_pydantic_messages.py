"""What pydantic complains of, in the words that people read; and files of every odd kind."""

import os
import socket
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from durable_agent_team.contracts.base import BudgetUsd
from durable_agent_team.contracts.output_schema import schema_problem
from durable_agent_team.contracts.team import Identifier
from durable_agent_team.process.settings import ClientSettings, SettingsError, WorkerSettings, load
from durable_agent_team.rules.pydantic_messages import explain_error, shown
from durable_agent_team.team_files.task_file import load_task
from durable_agent_team.team_files.team_file import Inputs, TeamFileError, load_team


class Everything(BaseModel):
    usd: BudgetUsd | None = None
    name: Identifier | None = None
    few: tuple[int, ...] = Field((), max_length=2)
    some: dict[str, int] = Field({"a": 1}, min_length=1)
    text: str = Field("a", min_length=1, max_length=5)
    share: Annotated[float, Field(ge=0, lt=1)] = 0
    switch: bool = False


@pytest.mark.parametrize(
    ("given", "what", "remedy"),
    [
        ({"usd": -1}, "is too small", "use more than 0"),
        ({"usd": "1e400"}, "is too large", "use 1,000,000 or less"),
        ({"usd": "nan"}, "not a finite number", "0.25"),
        ({"usd": "Infinity"}, "not a finite number", "0.25"),
        ({"usd": "0.1234567"}, "at most six decimal places", "round it"),
        ({"usd": "lots"}, "an amount in US dollars", "0.25"),
        ({"name": "Big"}, "this is not a name", "small letter"),
        ({"few": [1, 2, 3]}, "more than 2 entries", "take some out"),
        ({"some": {}}, "is empty", "leave the key out"),
        ({"text": "too long"}, "more than 5 characters", "shorten it"),
        ({"text": ""}, "is empty", "fill it in"),
        ({"text": "\ud800"}, "half of a character", "the character itself"),
        ({"text": 5}, "a text is needed", ""),
        ({"share": 1}, "is too large", "use less than 1"),
        ({"share": -0.5}, "is too small", "use 0 or more"),
        ({"switch": "maybe"}, "true or false", ""),
        ({"few": ["x"]}, "a whole number", ""),
    ],
)
def test_every_complaint_says_what_is_wrong_and_what_would_be_right(
    given: dict[str, Any], what: str, remedy: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Everything.model_validate(given)
    told = explain_error(caught.value.errors()[0])
    assert what in told[0]
    assert remedy in told[1]


def test_a_value_that_is_shown_stays_on_its_line() -> None:
    assert shown("a\nb\x1b[31m\u202e\x00") == "a\\nb\\x1b[31m\\u202e\\x00"
    assert shown("é ") == "é "
    assert shown("x" * 90) == "x" * 79 + "… (90 characters)"


TEAM = """\
name: brief
goal: Brief the board
orchestrator: {budget_usd: 2}
agents: {research: {role: Researcher, budget_usd: 1}}
tasks: [{id: a, agent: research, ask: List., INPUTS}]
"""


def problem(folder: Path, text: str, inputs: Inputs = ()) -> str:
    (folder / "team.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(TeamFileError) as caught:
        load_team(folder / "team.yaml", inputs=inputs)
    (found,) = caught.value.problems
    return str(found).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (".", "cannot be read (Is a directory) (name a file in it)"),
        ('"a\\0b"', "no file can have the name a\\x00b"),
        ("loop", "Too many levels of symbolic links"),
        ("team.yaml/x", "cannot be read (Not a directory) (check the path)"),
    ],
)
def test_a_document_of_every_odd_kind_is_told(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    said = problem(tmp_path, TEAM.replace("INPUTS", f"inputs: [{name}]"))
    assert said.startswith("team.yaml:5: tasks[0].inputs[0] = ")
    assert told in said


def test_of_a_huge_document_no_more_is_read_than_may_be(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(10**12)  # a file with a hole
    said = problem(tmp_path, TEAM.replace("INPUTS", "inputs: [huge]"))
    assert "more than 1,000,000 characters (shorten it, or split it" in said


@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
def test_what_is_not_a_file_is_refused_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    found = tmp_path / "odd.yaml"
    if kind == "pipe":
        os.mkfifo(found)
    elif kind == "device":
        found.symlink_to("/dev/zero")
    else:
        socket.socket(socket.AF_UNIX).bind(str(found))
    team = _written(tmp_path, TEAM.replace(", INPUTS", ""))
    for read in (
        lambda: load_team(found),
        lambda: load_task(str(found)),
        lambda: load_team(team, None, [("a", str(found))]),
    ):
        with pytest.raises(TeamFileError) as error:
            read()
        assert f"is a {kind}, and only a file is read (write its content into a file" in str(
            error.value
        )


def _written(folder: Path, text: str) -> Path:
    path = folder / "team.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: " + "[" * 3000 + "]" * 3000, "is nested too deeply"),
        (TEAM.replace("usd: 2", "usd: " + "9" * 5000), "write a smaller number"),
        (
            TEAM.replace("INPUTS", "output: {type: nonsense}"),
            "output = $.type: this is not a JSON Sch",
        ),
        (
            TEAM.replace("INPUTS", "output: {pattern: '('}"),
            "$.pattern: this is not a JSON Schema: '('",
        ),
        (TEAM.replace("INPUTS", "output: {$ref: 'http://x/y'}"), "which is never fetched (put it"),
        (
            TEAM.replace("INPUTS", "output: {$ref: '#/a'}"),
            "= #/a: refers to nothing in this schema",
        ),
        (
            TEAM.replace("goal:", "notify_url: nowhere\ngoal:").replace(", INPUTS", ""),
            "not an http://",
        ),
    ],
)
def test_what_yaml_allows_and_a_team_does_not(tmp_path: Path, text: str, told: str) -> None:
    assert told in problem(tmp_path, text)


@pytest.mark.parametrize("levels", [60, 100_000])
def test_a_schema_that_is_nested_too_deeply_is_told(levels: int) -> None:
    schema: dict[str, object] = {}
    for _ in range(levels):
        schema = {"not": schema}
    found = schema_problem(schema)
    assert found is not None
    assert "nested more than 50 levels" in found.what


def test_a_good_schema_is_good() -> None:
    schema = {"$defs": {"a": {"const": "$ref"}}, "$ref": "#/$defs/a", "enum": [{"$ref": "x"}]}
    assert schema_problem(schema) is None


@pytest.mark.parametrize("ref", ["#", "#/$defs/a~1b", "#/$defs/%C3%BC", "#/anyOf/0", "#anchor"])
def test_what_refers_to_a_part_of_its_schema_is_good(ref: str) -> None:
    schema = {"$defs": {"a/b": {}, "ü": {}, "c": {"$anchor": "anchor"}}, "anyOf": [{}]}
    assert schema_problem({**schema, "not": {"$ref": ref}}) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TEMPORAL_ADDRESS", "a b:1"),
        ("TEMPORAL_ADDRESS", "host:"),
        ("TEMPORAL_ADDRESS", "host:99999"),
        ("TEMPORAL_ADDRESS", "host:１"),
        ("ATXP_LLM_URL", "http://"),
        ("ATXP_LLM_URL", "http://a b/v1"),
        ("ATXP_LLM_URL", "http://host:abc/v1"),
        ("ATXP_LLM_URL", "http://host:99999/v1"),
        ("ATXP_LLM_URL", "http://[::bad/v1"),
        ("ATXP_API_KEY", "é\n"),
        ("TEMPORAL_API_KEY", "a b"),
    ],
)
def test_an_address_or_key_that_nothing_could_use_is_refused_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("ATXP_API_KEY", "parent")
    monkeypatch.setenv("SEALING_KEY", "A" * 43)
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load(WorkerSettings, tmp_path)
    (found,) = caught.value.problems
    assert found.field == name
    assert "in .env or the environment" in found.remedy
    assert found.value == ("" if name.endswith("KEY") else shown(value))


def test_an_env_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"A=\xff")
    with pytest.raises(SettingsError, match="is not UTF-8 text \\(byte 2\\)") as caught:
        load(ClientSettings, tmp_path)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("schema", ['{enum: ["\\ud800"]}', "{const: " + "9" * 400 + "}"])
def test_a_schema_that_the_run_would_refuse_is_refused(tmp_path: Path, schema: str) -> None:
    said = problem(tmp_path, TEAM.replace("INPUTS", f"output: {schema}"))
    assert "tasks[0].output" in said or "tasks.0.output" in said
