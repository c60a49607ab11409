"""`agent`, `limits` and `add-task` on an open run."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from durable_agent_team.cli.output import utc_minute
from durable_agent_team.cli.ui.plain_lines import PlainLines
from durable_agent_team.contracts.changes import AgentAdjusted, RunAdjusted
from durable_agent_team.contracts.run import RunReport
from tests.cli.support import Starter, new_id
from tests.support.fakes import FakeWorld
from tests.unit.demo_run import BEFORE

TASK = "id: risks\nagent: editor\nask: List the risks.\n"


async def test_agent_prints_the_new_settings(starter: Starter, held: str) -> None:
    words = ["agent", held, "research", "--model", "m", "--instructions", "Be brief."]
    ended = await starter(*words, "--timeout", "30", "--attempts", "3")
    assert ended.code == 0, ended.err
    printed = "research: model m, 3 attempts of 30 seconds, 9 characters of instructions\n"
    assert ended.out == printed
    longer = await starter("agent", held, "research", "--max-tokens", "800")
    assert longer.out == f"{printed[:-1]}, answers of up to 800 tokens\n"
    ended = await starter("agent", held, "orchestrator", "--attempts", "2", "--json")
    adjusted = AgentAdjusted.model_validate_json(ended.out)
    assert (adjusted.agent, adjusted.max_attempts) == ("orchestrator", 2)


def test_a_future_time_is_not_printed_as_past() -> None:
    at = datetime(2026, 1, 31, 23, 59, 17, tzinfo=UTC)
    assert utc_minute(at) == "2026-02-01 00:00 UTC"
    assert utc_minute(at.replace(second=0)) == "2026-01-31 23:59 UTC"


async def test_limits_prints_the_new_limits_and_state_shows_them(
    starter: Starter, held: str
) -> None:
    ended = await starter("limits", held, "--max-parallel", "3")
    assert ended.out == "3 calls at once, no deadline, no budget above the agents'\n"
    at = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(days=2)
    ended = await starter("limits", held, "--deadline", at.isoformat(), "--budget", "$50", "--json")
    adjusted = RunAdjusted.model_validate_json(ended.out)
    assert (adjusted.max_parallel, adjusted.deadline) == (3, at)
    assert adjusted.budget_usd == Decimal(50)
    shown = (await starter("state", held)).out
    assert "calls   3 at once" in shown
    assert f"until   {at:%Y-%m-%d %H:%M} UTC" in shown
    ended = await starter("limits", held, "--deadline", "none")
    assert ended.out == "3 calls at once, no deadline, agents' budgets up to 50.000000 USD\n"
    assert "until" not in (await starter("state", held)).out


async def test_a_task_from_a_file_is_added_and_runs(starter: Starter, held: str) -> None:
    file = starter.folder / "risks.yaml"
    file.write_text(TASK)
    ended = await starter("add-task", held, str(file))
    assert (ended.code, ended.out) == (0, "risks: added; ready\n"), ended.err
    async with asyncio.timeout(60):
        while "risks" not in (await starter("state", held)).out:
            await asyncio.sleep(0.2)
    again = await starter("add-task", held, str(file))
    assert again.code == 2
    assert "id = risks: there is a task of this id (choose another)" in again.err
    file.write_text(TASK.replace("risks", "more") + "depends_on: [facts]\n")
    ended = await starter("add-task", held, str(file), "--json")
    assert json.loads(ended.out) == {
        "task": "more",
        "status": "waiting",
        "again": [],
        "again_total": 0,
        "result_bytes": 0,
        "max_result_bytes": 0,
    }


async def test_a_deadline_ends_a_run_and_its_report_says_so(starter: Starter, held: str) -> None:
    at = datetime.now(UTC) + timedelta(seconds=4)
    ended = await starter("limits", held, "--deadline", at.isoformat())
    assert ended.code == 0, ended.err
    async with asyncio.timeout(60):
        while "cancel  the deadline, " not in (await starter("state", held)).out:
            await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["agent", "RUN", "research"], "nothing to change (give one or more of --model, --ins"),
        (["agent", "RUN", "nobody", "--model", "m"], "agent = 'nobody': no such agent (one of:"),
        (["agent", "RUN", "research", "--model", "gpt-9"], "is not known at the gateway (one of"),
        (["agent", "RUN", "research", "--model", ""], "--model = : is empty"),
        (["agent", "RUN", "Research!", "--model", "m"], "AGENT = Research!: this is not a name"),
        (["agent", "RUN", "research", "--timeout", "0"], "--timeout = 0.0: is too small"),
        (["agent", "RUN", "research", "--timeout", "soon"], "--timeout"),
        (["agent", "RUN", "research", "--attempts", "21"], "--attempts = 21: is too large (use 20"),
        (["limits", "RUN"], "nothing to change (give one or more of --max-parallel, --budget"),
        (["limits", "RUN", "--max-parallel", "0"], "--max-parallel = 0: is too small (use 1 or"),
        (["limits", "RUN", "--budget", "1,50"], "--budget = 1,50: this is not an amount"),
        (["limits", "RUN", "--budget", "1"], "budget_usd = 1: the agents' limits come to 7 USD"),
        (
            ["limits", "RUN", "--deadline", "18:00"],
            "--deadline = 18:00: this is not an ISO-8601 time",
        ),
        (["limits", "RUN", "--deadline", "2026-12-31T18:00"], "its offset from UTC is missing"),
        (["limits", "RUN", "--deadline", "2020-01-01T00:00Z"], "is in the past; it is 20"),
        (["add-task", "RUN", "no.yaml"], "no.yaml: task file: there is no file no.yaml"),
        (
            ["add-task", "RUN", "-"],
            "standard input: the file: does not contain a task (start with `id:`",
        ),
    ],
)
async def test_an_invalid_value_is_refused_and_printed(
    starter: Starter, held: str, words: list[str], printed: str
) -> None:
    ended = await starter(*(held if word == "RUN" else word for word in words))
    assert ended.code == 2, ended.out
    assert printed in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("id: risks\nagnet: editor\nask: x\n", "task.yaml:2: agnet: this key is not known (did y"),
        ("id: risks\nagent: editor\n", "task.yaml: ask: is missing (add `ask:`)"),
        (
            TASK + "output: {type: nonsense}\n",
            "task.yaml:4: output = $.type: this is not a JSON Sch",
        ),
        (TASK + "id: again\n", "task.yaml:4: id: this key is there twice"),
        (TASK + "ask: [\n", "task.yaml:"),
        ("- id: risks\n", "task.yaml: the file: does not contain a task"),
        (TASK.replace("editor", "nobody"), "tasks.risks.agent = nobody: no such agent (one of:"),
        (TASK + "inputs: [new.md]\n", "inputs = new.md: the run was started without a document"),
    ],
)
async def test_an_invalid_task_file_is_reported_with_line_field_and_remedy(
    starter: Starter, held: str, text: str, printed: str
) -> None:
    (starter.folder / "task.yaml").write_text(text)
    ended = await starter("add-task", held, str(starter.folder / "task.yaml"))
    assert ended.code == 2, ended.out
    assert printed in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    "words", [["agent", "RUN", "research", "--model", "m"], ["limits", "RUN", "--budget", "9"]]
)
async def test_an_ended_run_cannot_be_changed(
    starter: Starter, world: FakeWorld, words: list[str]
) -> None:
    run = new_id()
    ended = await starter("run", starter.team(), "--id", run, "--json")
    assert RunReport.model_validate_json(ended.out.splitlines()[-1]).answer
    ended = await starter(*(run if word == "RUN" else word for word in words))
    assert ended.code == 2
    assert "has ended" in ended.err


def test_a_follower_sees_a_new_deadline_and_its_removal() -> None:
    lines, at = PlainLines(), datetime(2026, 12, 31, 17, tzinfo=UTC)
    lines.changes(BEFORE)
    [line] = lines.changes(BEFORE.model_copy(update={"deadline": at}))
    assert line.endswith("nothing new starts after 2026-12-31 17:00 UTC")
    assert lines.changes(BEFORE.model_copy(update={"deadline": at})) == []
    [line] = lines.changes(BEFORE)
    assert line.endswith("the deadline was removed")
