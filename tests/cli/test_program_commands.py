"""What the command line says of agents that are programs, and how a person answers one."""

import sys
from pathlib import Path

import pytest
import yaml
from temporalio.client import Client

from durable_agent_team.cli.ui.charge_lines import ChargeLine
from durable_agent_team.cli.ui.task_calls import TaskLook
from durable_agent_team.contracts.effects import UnknownEffect
from durable_agent_team.contracts.error_types import ErrorType
from tests.cli.support import Starter, lines, new_id, serving
from tests.cli.test_task_and_charges import provider, rooms
from tests.support import agent_program
from tests.support.packages import Rooms
from tests.support.programs import ProgramWorld, Running
from tests.support.run_reports import report_of
from tests.workflows.runs import parked, until
from tests.workflows.test_program_processes import crew
from tests.workflows.test_programs import crew as scripted

__all__ = ["rooms"]


def team_file(starter: Starter) -> str:
    payload = crew(checks={"min_length": 8})["team"]
    payload["agents"]["crew"]["run"]["command"].append("repairs")
    return starter.team(yaml.safe_dump(payload))


async def test_validate_says_what_is_promised_of_programs_and_what_not(starter: Starter) -> None:
    ended = await starter("validate", team_file(starter))
    assert ended.code == 0, ended.err
    assert f"  crew: command {sys.executable} {agent_program.__file__}" in ended.out
    assert "promised: stays within its budget_usd" in ended.out
    assert "not promised" in ended.out
    assert "`once`" in ended.out
    assert "elsewhere (a2a)" not in ended.out


async def test_validate_says_what_holds_of_an_agent_elsewhere(starter: Starter) -> None:
    payload = crew()["team"]
    payload["agents"]["crew"]["run"] = {"a2a": "https://agents.example/crew"}
    ended = await starter("validate", starter.team(yaml.safe_dump(payload)))
    assert ended.code == 0, ended.err
    assert "crew: a2a https://agents.example/crew" in ended.out
    assert "its task is cancelled, if its server can" in ended.out


async def test_a_task_shows_every_call_that_its_program_made(
    starter: Starter, rooms: Rooms
) -> None:
    run = new_id()
    handle = await rooms.start(crew("repairs", checks={"min_length": 8}), run)
    report = await report_of(handle)
    ended = await starter("task", run, "research", **provider(rooms))
    assert ended.code == 0, ended.err
    for expected in (
        "research (crew): 2 calls, 1 of them a repair",
        "call 1 (work) command",
        "call 2 (repair) command",
        "standard error: the program has started",
        "passed: yes",
    ):
        assert expected in ended.out
    assert ended.out.count("model call: ") == 2
    told = await starter("task", run, "research", "--json", **provider(rooms))
    first, second = TaskLook.model_validate_json(told.out).calls
    assert first.scope == second.scope
    assert (first.execution, second.execution) == (1, 2)
    paid = sum(each.amount_usd for call in (first, second) for each in call.model_calls)
    assert paid == report.spend.total.spent_usd == rooms.ledger_usd()


async def test_charges_of_a_program_belong_to_its_task(starter: Starter, rooms: Rooms) -> None:
    run = new_id()
    report = await report_of(await rooms.start(crew(), run))
    told = await starter("charges", run, "--json", **provider(rooms))
    found = [ChargeLine.model_validate_json(line) for line in lines(told.out)]
    assert {(each.task, each.agent) for each in found} == {("research", "crew")}
    assert sum(each.amount_usd or 0 for each in found) == report.spend.total.spent_usd
    assert sum(each.ledger_usd or 0 for each in found) == rooms.ledger_usd()
    assert not any("DIFFERS" in each.note for each in found)
    assert len({each.idempotency_key for each in found if each.ledger_usd}) == 2
    table = await starter("charges", run, **provider(rooms))
    assert "made by the program, attempt 1001" in table.out
    without = await starter("charges", run)
    assert without.code == 0, without.err


async def test_a_person_answers_with_a_text_or_a_file(
    starter: Starter, client: Client, tmp_path: Path
) -> None:
    unknown = UnknownEffect(effect="send:1f", tool="send_mail", attempt=1001)

    async def script(running: Running) -> str:
        if not running.order.effect_answers:
            message = "send_mail may have run"
            raise running.error(ErrorType.EFFECT_UNKNOWN, message, final=True, effect=unknown)
        return "done"

    world, run = ProgramWorld(script), new_id()
    (tmp_path / "sent.json").write_text('{"sent": true}')
    async with serving(client, world):
        handle = await Rooms(client, "orchestrator", None, None, None).start(  # type: ignore[arg-type]
            {"team": scripted()}, run
        )
        await until(handle, parked)
        state = await starter("state", run)
        assert f"answer {run} research DECISION" in state.out
        pasted = await starter("answer", run, "research", "DECISION")
        assert (pasted.code, "retry, skip, result" in pasted.err) == (2, True)
        ended = await starter("answer", run, "research", "result", "--file", "sent.json")
        if ended.code:  # the command's folder is another one
            file = str(tmp_path / "sent.json")
            ended = await starter("answer", run, "research", "result", "--file", file)
        assert ended.code == 0, ended.err
        assert ended.out == "research: answered; it runs again\n"
        await report_of(handle)
        again = await starter("answer", run, "research", "retry")
        assert again.code != 0
    (answer,) = world.orders[1].effect_answers
    assert answer.result == '{"sent": true}'


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("maybe",), "DECISION = maybe: this is not one of the choices (retry, skip, result)"),
        (("retry", "text"), "only `result` has one"),
        (("result",), "`result` needs one"),
        (("result", "text", "--file", "x"), "`result` needs one"),
        (("result", "--file", "no-such-file"), "--file = no-such-file: there is no file"),
    ],
)
async def test_an_answer_that_cannot_be_meant_is_refused(
    starter: Starter, arguments: tuple[str, ...], said: str
) -> None:
    ended = await starter("answer", "some-run", "research", *arguments)
    assert ended.code == 2
    assert said in ended.err
