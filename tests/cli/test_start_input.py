"""`start-input`: the command that it prints starts the run with the Temporal CLI."""

import asyncio
import json
import shlex
import subprocess

import pytest
from temporalio.client import Client

from durable_agent_team.contracts.names import FORMAT_MEMO, HISTORY_FORMAT
from durable_agent_team.contracts.run import RunRequest
from tests.cli.support import TEAM, Starter, new_id
from tests.cli.test_validate_team import alone
from tests.support.temporal import temporal_cli

__all__ = ["alone"]

HARD = TEAM.replace("List the facts.", """'List the "facts" of ''today'' and $HOME and `date`.'""")


@pytest.mark.parametrize("to_file", [False, True])
async def test_the_command_can_be_pasted_and_starts_the_run(
    starter: Starter, client: Client, to_file: bool
) -> None:
    run = new_id()
    out = ["--out", str(starter.folder / "in put.json")] if to_file else []
    ended = await starter("start-input", starter.team(HARD), "--id", run, *out)
    assert ended.code == 0, ended.err
    command = ended.out.strip()
    assert "\n" not in command
    pasted = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", command.replace("temporal", shlex.quote(temporal_cli()), 1)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert pasted.returncode == 0, pasted.stderr
    handle = client.get_workflow_handle(run)
    first = await anext(handle.fetch_history_events())
    started = first.workflow_execution_started_event_attributes
    request = RunRequest.model_validate_json(started.input.payloads[0].data)
    assert "`date`" in request.team.tasks[0].ask
    assert started.workflow_type.name == "Orchestrator"
    attributes = started.search_attributes.indexed_fields
    assert json.loads(attributes["Team"].data) == request.team.name
    assert json.loads(attributes["RunStatus"].data) == "starting"
    assert json.loads(started.memo.fields[FORMAT_MEMO].data) == HISTORY_FORMAT
    await handle.terminate()


async def test_it_refuses_what_start_refuses(alone: Starter) -> None:
    wrong = await alone("start-input", alone.team(TEAM.replace("agent: editor", "agent: poet")))
    assert (wrong.code, "no such agent" in wrong.err, wrong.out) == (2, True, "")


async def test_json_is_the_input_alone_and_a_large_one_needs_a_file(alone: Starter) -> None:
    plain = await alone("start-input", alone.team(), "--json")
    request = RunRequest.model_validate_json(plain.out)
    assert request.team.name == "brief"
    (alone.folder / "long.md").write_text("word " * 30_000)
    large = TEAM.replace("ask: List the facts.", "inputs: [long.md], ask: List the facts.")
    ended = await alone("start-input", alone.team(large))
    assert (ended.code, "--out FILE" in ended.err) == (2, True)
    file = alone.folder / "input.json"
    ended = await alone("start-input", alone.team(large), "--out", str(file))
    assert shlex.split(ended.out)[-2:] == ["--input-file", str(file)]
    assert json.loads(file.read_text())["sources"]["long.md"].startswith("word")
