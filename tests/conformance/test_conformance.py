"""`python -m conformance`: our gateway passes all checks, and a bad one fails them."""

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from conformance.checks import CHECKS
from tests.gateway.client import Api
from tests.support.gateway import running_gateway
from tests.support.ports import lasting_ports

ROOT = Path(__file__).parents[2]
ADMIN = ("--admin-key", "conformance-parent-key")
HARMLESS = {"price", "price-stream", "cached-usage", "key-of-another"}
"""What the bad gateway does well."""


async def conformance(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "conformance", *arguments),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 170)
    return process.returncode or 0, out.decode(), err.decode()


def verdicts(output: str) -> dict[str, Any]:
    return {each["check"]: each for each in json.loads(output)["checks"]}


async def test_our_gateway_passes_every_check(tmp_path: Path) -> None:
    """With the configuration that `--setup` writes."""
    port, upstream = lasting_ports(2)
    url = f"http://127.0.0.1:{port}"
    ports = ("--upstream-port", str(upstream))
    status, words, _ = await conformance(url, "--setup", str(tmp_path), *ports)
    assert status == 0
    assert "python -m durable_agent_team.gateway" in words
    lines = (tmp_path / "gateway.env").read_text().splitlines()
    start = shlex.join((sys.executable, "-m", "durable_agent_team.gateway"))
    status, output, errors = await conformance(
        *(url, *ports, *ADMIN, "--json", "--start", start),
        environment=dict(line.split("=", 1) for line in lines),
    )
    found = verdicts(output)
    failed = {name: each for name, each in found.items() if each["verdict"] != "pass"}
    assert failed == {}, errors
    assert list(found) == [check.name for check in CHECKS]
    assert status == 0


async def test_a_bad_gateway_fails_what_it_does_badly() -> None:
    port, upstream = lasting_ports(2)
    script = Path(__file__).with_name("bad_gateway.py")
    start = shlex.join((sys.executable, str(script), str(port), f"http://127.0.0.1:{upstream}/v1"))
    status, output, errors = await conformance(
        *(f"http://127.0.0.1:{port}", "--upstream-port", str(upstream), *ADMIN),
        *("--json", "--settle", "0.2", "--start", start),
    )
    assert status == 1, errors
    found = verdicts(output)
    assert {name for name, each in found.items() if each["verdict"] == "pass"} == HARMLESS
    assert all(each["verdict"] != "not applicable" for each in found.values())
    assert found["race"]["facts"]["calls upstream"] == 25
    assert "the calls cost more than the budget" in found["race"]["reasons"]
    assert found["negative-usage"]["reasons"] == ["the account was credited"]
    assert found["kill-after-answers"]["facts"]["charged after it"] == "0"


@pytest.fixture
async def running() -> Any:
    """A gateway that somebody else has started, and the port of its upstream."""
    [upstream] = lasting_ports(1)
    async with running_gateway(f"http://127.0.0.1:{upstream}/v1") as gateway:
        yield gateway.url, upstream


async def test_ready_keys_are_enough_for_what_needs_no_books(running: tuple[str, int]) -> None:
    url, upstream = running
    async with aiohttp.ClientSession() as http:
        api = Api(url, http)
        keys = [(await api.open(budget)).key for budget in ("1", "0.012", "0.003")]
    status, output, errors = await conformance(
        *(url, "--gateway", "keys", "--upstream-port", str(upstream), "--model", "m"),
        *("--key", f"{keys[0]}=1", "--key", f"{keys[1]}=0.012", "--key", f"{keys[2]}=0.003"),
    )
    assert status == 0, output + errors
    assert "FAIL" not in output
    rows = [line.split() for line in output.splitlines() if line[:1].strip()]
    lines = {row[0]: row[1] for row in rows}
    wanted = {"race": "pass", "race-streams": "pass", "last-call": "n/a", "same-key": "pass"}
    assert wanted.items() <= lines.items()
    assert {lines["price"], lines["disabled-key"], lines["kill-in-call"]} == {"n/a"}
    assert not any(key in output + errors for key in keys)


async def test_a_gateway_that_calls_another_upstream_cannot_be_checked(
    running: tuple[str, int],
) -> None:
    url, _ = running
    admin = ("--admin-key", "parent-key-of-the-tests-0123456789")
    [other] = lasting_ports(1)
    status, output, errors = await conformance(
        url, *admin, "--upstream-port", str(other), "--model", "m"
    )
    assert (status, output) == (2, "")
    assert f"Point the gateway at http://127.0.0.1:{other}/v1" in errors
    assert "Traceback" not in errors


async def test_what_runs_already_is_not_started_again(running: tuple[str, int]) -> None:
    """It would stay alive at every kill, and pass."""
    url, upstream = running
    status, _, errors = await conformance(
        url, *ADMIN, "--upstream-port", str(upstream), "--start", "sleep 60"
    )
    assert status == 2
    assert "something else answers at" in errors


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["127.0.0.1:8402", *ADMIN], "does not begin with http://"),
        (["http://x"], "needs --admin-key"),
        (["http://x", "--gateway", "keys"], "needs --key KEY=USD"),
        (["http://x", "--gateway", "keys", "--key", "sk"], "expected KEY=USD"),
        (["http://x", *ADMIN, "--input-price", "-1"], "not a positive amount"),
        (["http://x", *ADMIN, "--only", "nothing"], "invalid choice: 'nothing'"),
        (["http://127.0.0.1:9", *ADMIN, "--upstream-port", "0"], "no account could be made"),
        (
            ["http://127.0.0.1:9", *ADMIN, "--upstream-port", "0", "--start", "echo sorry; false"],
            "sorry",
        ),
    ],
)
async def test_what_is_wrong_is_named(arguments: list[str], says: str) -> None:
    status, output, errors = await conformance(*arguments)
    assert (status, output) == (2, "")
    assert says in errors
    assert "Traceback" not in errors
