"""The wheel: what is in it, and what works with only its core dependencies."""

import asyncio
import json
import os
import signal
import subprocess
import zipfile
from asyncio.subprocess import Process
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.cli.support import serving
from tests.packaging.environment import Installation
from tests.support.fakes import FakeWorld
from tests.support.gateway import PRICES, write_prices
from tests.support.temporal import temporal_cli
from tests.support.upstream import Rule, ScriptedUpstream

pytestmark = pytest.mark.timeout(400)
HEAVY = ("aiohttp", "cryptography", "opentelemetry.sdk", "uvloop", "xllamacpp")


def test_the_package_is_the_only_top_level_name(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"durable_agent_team"}
    for shipped in (
        "py.typed",
        "gateway/models/prices.toml",
        "team_files/team.schema.json",
        "_worker/worker.py",
        "_worker/workflows/orchestrator.py",
        "_worker/activities/accounts.py",
    ):
        assert f"durable_agent_team/{shipped}" in names
    assert [name for name in names if name.endswith(".pyc")] == []


def test_the_core_installs_nothing_heavy(installed: Installation) -> None:
    code = (
        "import importlib.util as u, json, sys\n"
        "def has(name):\n"
        "    try: return u.find_spec(name) is not None\n"
        "    except ModuleNotFoundError: return False\n"
        "print(json.dumps([name for name in sys.argv[1:] if has(name)]))"
    )
    found = subprocess.run(
        [installed.python, "-c", code, *HEAVY], capture_output=True, text=True, check=True
    )
    assert json.loads(found.stdout) == []


async def test_the_command_line_works(installed: Installation) -> None:
    starter = installed.command("durable-agent-team")
    code, out, _ = await installed.run(starter, "--help")
    assert (code, "validate" in out) == (0, True)
    nobody = "http://127.0.0.1:9/v1"
    code, out, err = await installed.run(starter, "validate", "team.yaml", ATXP_LLM_URL=nobody)
    assert (code, out) == (0, "team.yaml: good: team brief, 1 agent, 1 task; models not checked\n")
    assert "127.0.0.1:9/v1/models does not answer" in err
    code, out, _ = await installed.run(starter, "schema", "--json")
    assert json.loads(out) == json.loads(installed.file("team_files/team.schema.json"))


async def test_a_part_that_is_not_installed_names_its_extra(installed: Installation) -> None:
    for part in ("worker", "gateway"):
        code, _, err = await installed.run(installed.command(f"durable-agent-team-{part}"))
        assert code == 2
        assert f"run `pip install 'durable-agent-team[{part}]'`" in err
    stack = ("-m", "durable_agent_team.local_stack")
    code, _, err = await installed.run(str(installed.python), *stack)
    assert code == 2
    assert "run `pip install 'durable-agent-team[local]'`" in err
    telemetry = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    starter = installed.command("durable-agent-team")
    code, _, err = await installed.run(starter, "list", **telemetry)
    assert code == 2
    assert "run `pip install 'durable-agent-team[telemetry]'`" in err


async def test_an_application_with_packages_of_the_same_names_starts_a_run(
    installed: Installation, client: Client
) -> None:
    address = client.service_client.config.target_host
    async with serving(client, FakeWorld()):
        code, out, err = await installed.run(
            str(installed.python), "application.py", TEMPORAL_ADDRESS=address
        )
    assert code == 0, err
    assert out.splitlines() == [
        "Decide whether to enter the market",
        "answer of answer",
        "completed for 0.02 USD",
    ]


async def test_the_local_stack_of_the_wheel_carries_a_run(
    installed: Installation, tmp_path: Path
) -> None:
    """Installs extras, so it has to be the last test. The Temporal server is the one of the tests:
    what else `[local]` installs is for the bundled model."""
    installed.install("gateway", "worker")
    async with ScriptedUpstream([Rule(text="An answer.")]) as upstream:
        environment = {
            "PATH": f"{Path(temporal_cli()).parent}:{os.environ['PATH']}",
            "UPSTREAM_URL": upstream.url,
            "GATEWAY_PRICES": str(write_prices(tmp_path / "prices.toml", PRICES)),
            "DEFAULT_MODEL": "m",
            **dict.fromkeys(("TEMPORAL_PORT", "TEMPORAL_UI_PORT", "GATEWAY_PORT"), "0"),
        }
        command = (str(installed.python), "-u", "-m", "durable_agent_team.local_stack")
        async with installed.process(*command, **environment) as stack:
            await _ready(stack)
            code, out, err = await installed.run(str(installed.python), "application.py")
            stack.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(stack.wait(), 60) == 0
    assert code == 0, err
    goal, answer, _ = out.splitlines()
    assert (goal, answer) == ("Decide whether to enter the market", "An answer.")
    assert (installed.application / ".data" / "gateway.db").is_file()


async def _ready(stack: Process) -> None:
    assert stack.stdout is not None
    shown = ""
    while "Ctrl-C ends the stack" not in shown:
        line = (await asyncio.wait_for(stack.stdout.readline(), 90)).decode()
        assert line, shown
        shown += line
