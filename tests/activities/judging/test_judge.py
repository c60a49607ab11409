"""The judge: a costly check is stopped, in a process of its own, and a usual one costs no more."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from activities.judging.cost_estimate import is_cheap
from activities.judging.exceptions import InvalidSchema
from activities.judging.judge import Judge, answer_check
from activities.judging.judge_process import JudgeProcess
from durable_agent_team.contracts.call import MAX_ANSWER, Source
from durable_agent_team.contracts.team import Checks
from tests.activities.support import call

BACKTRACKING = {
    "type": "object",
    "properties": {"name": {"type": "string", "pattern": r"^([a-zA-Z]+\s?)+$"}},
}
SLOW_NAME = '{"name": "Bartholomew Maximilian Featherstonehaugh the elder of the long valley 2nd"}'
INPUTS = Checks(quotes_exist_in="inputs")


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    judge = Judge(seconds=0.7)
    yield judge
    judge.close()


def doubled_refs(times: int) -> dict[str, Any]:
    definitions: dict[str, Any] = {"a0": {"type": "string"}}
    for number in range(times):
        twice = [{"$ref": f"#/$defs/a{number}"}] * 2
        definitions[f"a{number + 1}"] = {"allOf": twice}
    return {"$defs": definitions, "$ref": f"#/$defs/a{times}"}


async def longest_pause(ticks: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.005)
        ticks.append(time.perf_counter() - before)


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        (BACKTRACKING, SLOW_NAME),
        (
            {"type": "array", "uniqueItems": True},
            json.dumps([{"a": n} if n % 2 else n for n in range(15_000)]),
        ),
        ({"patternProperties": {r"^(a|a)*$": {}}}, json.dumps({"a" * 40 + "!": 1})),
        ({"not": {"pattern": r"(x+x+)+y"}}, json.dumps("x" * 40)),
    ],
    ids=["pattern", "uniqueItems", "patternProperties", "not"],
)
async def test_a_slow_check_is_stopped_and_the_answer_rejected(
    judge: Judge, schema: dict[str, Any], answer: str
) -> None:
    ticks: list[float] = []
    ticking = asyncio.create_task(longest_pause(ticks))
    (reason,) = await judge.reasons(call(output=schema), answer)
    ticking.cancel()
    assert "could not be checked" in reason
    assert "simpler" in reason
    assert len(ticks) > 5, "the event loop ran"


async def test_the_next_answer_is_judged_after_one_was_stopped(judge: Judge) -> None:
    await judge.reasons(call(output=BACKTRACKING), SLOW_NAME)
    assert await judge.reasons(call(output=BACKTRACKING), '{"name": "Oak"}') == ()


@pytest.mark.parametrize(
    "schema",
    [doubled_refs(25), {"anyOf": [{}] * 8_000}, {"enum": [{"a": [n]} for n in range(90_000)]}],
    ids=["references", "alternatives", "enum"],
)
async def test_a_schema_that_is_slow_for_any_answer_is_refused_before_paying(
    judge: Judge, schema: dict[str, Any]
) -> None:
    with pytest.raises(InvalidSchema, match=r"whatever the answer.*team file"):
        await judge.prepare(call(output=schema))


async def test_an_invalid_schema_is_refused_by_the_child_as_in_the_worker(judge: Judge) -> None:
    with pytest.raises(InvalidSchema, match="team file"):
        await judge.prepare(call(output={"anyOf": [{"type": "strange"}]}))
    with pytest.raises(InvalidSchema, match=r"pattern.*regex.*team file"):
        await judge.prepare(call(output={"pattern": "("}))


async def test_the_child_returns_the_reasons_that_the_worker_would(judge: Judge) -> None:
    schema = {"type": "object", "properties": {"n": {"pattern": "^[a-z]+$"}}}
    request = call(output=schema, checks=Checks(min_length=20))
    reasons = await judge.reasons(request, '{"n": "AB\u2028"}')
    assert len(reasons) == 2
    assert "at least 20" in reasons[0]
    assert reasons[1].startswith("At n: ")


async def test_thousands_of_quotes_in_a_large_input_do_not_hold_the_event_loop() -> None:
    judge = Judge()
    text = "".join(f"the word number {n} is here and there. " for n in range(22_000))
    quotes = [{"source": "x", "quote": f"number {n} is"} for n in range(4_500)]
    request = call(output="findings", checks=INPUTS, sources=(Source(name="x", text=text),))
    answer = json.dumps({"findings": quotes})
    assert not is_cheap(answer_check(request, answer))
    ticks: list[float] = []
    ticking = asyncio.create_task(longest_pause(ticks))
    try:
        assert await judge.reasons(request, answer) == ()
    finally:
        ticking.cancel()
        judge.close()
    assert len(ticks) > 10


async def test_usual_answers_are_judged_without_a_child() -> None:
    judge = Judge()
    source = Source(name="a.md", text="Demand rose by a tenth in 2024. Prices fell. " * 400)
    findings = [{"source": "a.md", "quote": "Demand rose by a tenth in 2024."}] * 5
    answer = json.dumps({"findings": findings})
    request = call(output="findings", checks=INPUTS, sources=(source,))
    assert await judge.reasons(request, answer) == ()
    schema = {
        "type": "object",
        "properties": {"names": {"type": "array", "items": {"type": "string"}}},
        "required": ["names"],
    }
    assert await judge.reasons(call(output=schema), '{"names": ["oak", "ash"]}') == ()
    too_long = await judge.reasons(call(output=BACKTRACKING), " " * (MAX_ANSWER + 1))
    assert len(too_long) == 1
    processes = [judge._idle.get_nowait() for _ in range(2)]
    assert [each.pid for each in processes] != [None, None]  # of the backtracking schema's trial


def test_a_child_that_was_killed_from_outside_is_started_again() -> None:
    process = JudgeProcess()
    try:
        assert process.ask('{"pattern": "a"}', 5) == {"reasons": []}
        first = process.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        time.sleep(0.2)
        assert process.ask('{"pattern": "a"}', 5) == {"reasons": []}
        assert process.pid != first
    finally:
        process.kill()


def test_a_child_gets_none_of_the_workers_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALING_KEY", "a-key-of-the-worker")
    process = JudgeProcess()
    try:
        process.ask('{"pattern": "a"}', 5)
        environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        assert b"a-key-of-the-worker" not in environment
    finally:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_worker_even_in_a_regular_expression(number: int) -> None:
    code = (
        "import os, threading\n"
        "from activities.judging.judge_process import JudgeProcess\n"
        "from activities.judging.answer_checks import AnswerCheck\n"
        "process = JudgeProcess()\n"
        'process.ask(\'{"pattern": "a"}\', 5)\n'
        "print(process.pid, flush=True)\n"
        "process.ask(AnswerCheck('\"' + 'x' * 60 + '\"', '{\"pattern\": \"(x+x+)+y\"}'), 60)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    child = int(worker.stdout.readline())
    time.sleep(0.3)
    worker.send_signal(number)
    worker.wait()
    worker.stdout.close()
    ends = time.monotonic() + 10
    while _runs(child) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
