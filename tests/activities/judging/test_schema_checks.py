"""The schemas of a plan are checked within a bounded time, and equal ones once."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from activities.judging import schema_checks
from activities.judging.schema_checks import schema_problems
from durable_agent_team.contracts.plan import Problem

SOUND: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}}
WRONG: dict[str, Any] = {"type": "nothing"}


async def test_names_the_tasks_whose_schema_is_wrong() -> None:
    outputs = {"a": SOUND, "b": WRONG, "c": SOUND, "d": WRONG}
    found = await schema_problems(outputs, 20)
    assert set(found) == {"b", "d"}
    assert "nothing" in str(found["b"])


async def test_equal_schemas_are_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []

    def check(schema: Mapping[str, Any]) -> Problem | None:
        checked.append(schema)
        return None

    monkeypatch.setattr(schema_checks, "schema_problem", check)
    assert await schema_problems({f"t{at}": dict(SOUND) for at in range(500)}, 20) == {}
    assert checked == [SOUND]


async def test_what_is_not_reached_in_time_is_refused_and_not_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    checked = []

    def slow(schema: Mapping[str, Any]) -> Problem | None:
        checked.append(schema["title"])
        clock[0] += 2.0
        return None

    monkeypatch.setattr(schema_checks, "schema_problem", slow)
    monkeypatch.setattr(
        "activities.judging.schema_checks.time", SimpleNamespace(monotonic=lambda: clock[0])
    )
    found = await schema_problems({f"t{at}": {"title": at} for at in range(100)}, 20)
    assert checked == list(range(10))
    assert set(found) == {f"t{at}" for at in range(10, 100)}
    assert "100 schemas of this plan takes more than 20 seconds" in str(found["t99"])
