"""What a function is called with, and the prompt that it can make of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.calls.output_formats import FINDINGS_SCHEMA
from durable_agent_team.agents import AgentClient, AgentTask
from durable_agent_team.agents import task as agent_task

CLIENT = AgentClient(base_url="http://x/v1", api_key="secret-key-0123", model="m")


def made(**changes: Any) -> AgentTask:
    values: dict[str, Any] = {
        "task": "brief",
        "agent": "crew",
        "role": "Market researcher",
        "instructions": "Be brief.",
        "ask": "List the facts.",
        "inputs": [{"name": "a.md", "text": "Demand rose."}],
        "missing": ["b.md"],
        "output": "text",
        "rejected": None,
        "model": {"name": "m", "base_url": "http://x/v1", "max_tokens": 50, "temperature": 0},
    }
    return AgentTask.from_json(json.dumps({**values, **changes}), CLIENT)


def test_a_task_has_what_the_program_gets() -> None:
    task = made(rejected={"answer": "x", "reasons": ["too short"]})
    assert (task.task, task.agent, task.model) == ("brief", "crew", "m")
    assert task.input("a.md") == "Demand rose."
    assert (task.max_tokens, task.temperature) == (50, 0)
    assert task.rejected is not None
    assert task.rejected.reasons == ("too short",)
    with pytest.raises(KeyError, match=r"a\.md"):
        task.input("c.md")


def test_the_key_is_not_shown() -> None:
    assert "secret-key" not in repr(made())


def test_the_prompt_has_inputs_ask_and_what_is_missing_in_order() -> None:
    prompt = made().prompt()
    places = [prompt.index(each) for each in ("a.md", "Demand rose.", "b.md", "List the facts.")]
    assert places == sorted(places)
    assert "JSON" not in prompt
    assert made().system() == "You are: Market researcher.\n\nBe brief."


def test_the_prompt_says_what_the_answer_must_look_like() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    assert json.dumps(schema, separators=(",", ":")) in made(output=schema).prompt()
    assert "word for word" in made(output="findings").prompt()


def test_findings_are_checked_against_the_schema_that_the_prompt_shows() -> None:
    assert agent_task.FINDINGS_SCHEMA == FINDINGS_SCHEMA


def test_a_repair_has_the_answer_and_the_reasons() -> None:
    prompt = made(rejected={"answer": "42", "reasons": ["too short", "no source"]}).prompt()
    assert "42" in prompt
    assert "- too short\n- no source" in prompt


def test_the_same_task_gives_the_same_prompt() -> None:
    assert made().prompt() == made().prompt()


@given(st.text(max_size=200), st.text(max_size=60))
def test_no_input_closes_its_fence(text: str, name: str) -> None:
    prompt = made(inputs=[{"name": name, "text": text}]).prompt()
    tag = prompt.split(" ", 1)[0].removeprefix("<")
    assert prompt.count(f"</{tag}>") == 1
    assert prompt.split(">", 1)[0].count('"') == 2
