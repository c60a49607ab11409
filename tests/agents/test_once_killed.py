"""Processes with `@once` tools, killed with SIGKILL: never twice, unless a person said retry."""

import asyncio
import json
import os
import random
import resource
import signal
from pathlib import Path

import pytest

from tests.agents.attempts import Scope
from tests.gateway.client import Api, world
from tests.support.gateway_process import gateway_process

AGENT = """
import asyncio, os, sys, time
from concurrent.futures import ThreadPoolExecutor
from durable_agent_team.agents import EffectSkipped, once

PAUSE = float(os.environ.get("PAUSE", "0"))

def count(what):
    with open("effects", "a") as file:
        file.write(what + "\\n")

@once(name="refund")
def refund(order):
    time.sleep(PAUSE / 2)
    count(f"refund {order}")
    print("inside", flush=True)
    time.sleep(PAUSE)
    return f"refunded {order}"

@once(name="mail")
async def mail(to, n=0):
    count(f"mail {to}")
    print("inside", flush=True)
    await asyncio.sleep(PAUSE)
    return to

@once(name="put", idempotent=True)
def put(n):
    print("inside", flush=True)
    time.sleep(PAUSE)
    count(f"put {n}")
    return n

def skipped(tool, *args):
    try:
        return tool(*args)
    except EffectSkipped:
        return None

async def both():
    await asyncio.gather(mail("a"), mail("a"), mail("b"), return_exceptions=True)

skipped(refund, 1)
skipped(refund, 1)
asyncio.run(both())
put(1)
with ThreadPoolExecutor() as pool:
    list(pool.map(lambda n: skipped(refund, n), [2, 3, 2]))
print("end", flush=True)
"""
EXPECTED = {
    "refund 1": 2,
    "mail a": 2,
    "mail b": 1,
    "put 1": 1,
    "refund 2": 2,
    "refund 3": 1,
}
SWALLOWS = """
import sys, threading, time
from durable_agent_team.agents import once

@once(name="t")
def tool(how):
    print("inside", flush=True)
    time.sleep(60)

@once(name="u")
def other():
    open("other", "w").close()

def swallow():
    try:
        tool(sys.argv[1] if len(sys.argv) > 1 else "")
    except BaseException:
        pass

if %r == "catches all":
    swallow()
    try:
        other()
    except BaseException:
        pass
elif %r == "a thread":
    thread = threading.Thread(target=tool, args=("",))
    thread.start()
    thread.join()
elif %r == "asyncio":
    import asyncio
    asyncio.run(asyncio.to_thread(tool, ""))
else:
    try:
        tool("")
    except Exception:
        print("swallowed")
print("an answer all the same")
"""


def happened(folder: Path) -> dict[str, int]:
    path = folder / "effects"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return {each: lines.count(each) for each in lines}


async def attempt_killed_at_random(scope: Scope, attempt: int, chance: random.Random) -> int:
    """The exit code. It is killed after some lines of output, and a moment more; or never."""
    process = await scope.start(AGENT, attempt, {"PAUSE": "0.02"})
    assert process.stdout is not None
    lines = chance.randrange(0, 14)
    for _ in range(lines):
        if not await process.stdout.readline():
            break
    else:
        await asyncio.sleep(chance.choice([0, 0.003, 0.01, 0.03]))
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
    await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode


@pytest.mark.parametrize(("seed", "decisions"), [(1, ["skip"]), (2, ["result"]), (3, ["retry"])])
async def test_random_kills_of_the_client(tmp_path: Path, seed: int, decisions: list[str]) -> None:
    chance = random.Random(seed)
    retried: dict[str, int] = {}
    async with world() as w:
        scope = Scope(await w.api.open(), tmp_path)
        for attempt in range(1, 40):
            ended = await attempt_killed_at_random(scope, attempt, chance)
            if ended == 0:
                break
            assert ended in (-signal.SIGKILL, 75)
            if ended == 75:
                report = json.loads(scope.report(attempt).read_text())["effect_unknown"]
                decision = chance.choice(decisions)
                given = {"result": "by hand"} if decision == "result" else {}
                more = {"attempt": report["attempt"], **given}
                assert await scope.resolve(report["effect"], decision, **more) == 200
                tool = report["tool"]
                retried[tool] = retried.get(tool, 0) + (decision == "retry")
        assert ended == 0, "it came to its end"
        seen = happened(tmp_path)
        for tool in ("refund", "mail"):
            names = [each for each in EXPECTED if each.startswith(tool)]
            more_than_once = sum(max(0, seen.get(each, 0) - EXPECTED[each]) for each in names)
            assert more_than_once <= retried.get(tool, 0)
        assert seen["put 1"] >= 1
        states = {each["state"] for each in await scope.effects()}
        assert states <= {"done", "skipped"}


async def test_kills_of_the_gateway_lose_nothing(tmp_path: Path) -> None:
    """The client outlives them: it asks again, and its tools run once."""
    async with gateway_process("http://127.0.0.1:9") as gateway, world() as w:
        scope = Scope(await Api(gateway.url, w.api.http).open(), tmp_path)
        process = await scope.start(AGENT, 1, {"PAUSE": "0.3"})
        for _ in range(2):
            await asyncio.sleep(0.5)
            await gateway.end(signal.SIGKILL)
            await gateway.start()
        out, error = await asyncio.wait_for(process.communicate(), 60)
        assert (process.returncode, error) == (0, b""), error
        assert out.endswith(b"end\n")
        assert happened(tmp_path) == EXPECTED
        assert {each["state"] for each in await scope.effects()} == {"done"}
        assert (await scope.run(AGENT, 2))[:2] == (0, "end\n")
        assert happened(tmp_path) == EXPECTED


@pytest.mark.parametrize("how", ["an exception", "catches all", "a thread", "asyncio"])
async def test_an_unknown_effect_reaches_the_worker_whatever_the_program_does(
    tmp_path: Path, how: str
) -> None:
    script = SWALLOWS % (how, how, how)
    async with world() as w:
        scope = Scope(await w.api.open(), tmp_path)
        process = await scope.start(script, 1)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"inside\n"
        process.kill()
        await process.communicate()
        code, out, error = await scope.run(script, 2)
        if how in ("an exception", "asyncio"):
            assert (code, out) == (75, ""), error
        else:
            assert (code, out) == (0, "an answer all the same\n")
        report = json.loads(scope.report(2).read_text())["effect_unknown"]
        assert (report["tool"], report["attempt"]) == ("t", 1)
        assert f"effect {report['effect']} of the tool 't'" in error
        assert ("Traceback" in error) == (how == "a thread")
        assert not (tmp_path / "other").exists(), "no other tool begins"


ORPHAN = """
import os, time
from durable_agent_team.agents import once

@once(name="t")
def tool(n):
    open(f"effect {n} {os.getpid()}", "w").close()
    print("inside", flush=True)
    while not os.path.exists("go"):
        time.sleep(0.01)
    return n

tool(1)
tool(2)
"""


async def test_an_orphan_ends(tmp_path: Path) -> None:
    """The worker believed that it was dead; its successor has begun."""
    async with world() as w:
        scope = Scope(await w.api.open(), tmp_path)
        orphan = await scope.start(ORPHAN, 1)
        assert orphan.stdout is not None
        assert await orphan.stdout.readline() == b"inside\n"
        assert (await scope.run(ORPHAN, 2))[0] == 75
        (tmp_path / "go").touch()
        await asyncio.wait_for(orphan.communicate(), 60)
        assert orphan.returncode == 1
        assert [each["state"] for each in await scope.effects()] == ["done"], "its late result"
        assert (await scope.run(ORPHAN, 3))[0] == 0
        runs = [name.split()[1] for name in os.listdir(tmp_path) if name.startswith("effect ")]
        assert sorted(runs) == ["1", "2"]


async def test_it_starts_fast_without_the_projects_dependencies(tmp_path: Path) -> None:
    script = (
        "import sys; before = set(sys.modules); from durable_agent_team.agents import once;"
        "found = {each.partition('.')[0] for each in set(sys.modules) - before};"
        "print(sorted(found - sys.stdlib_module_names))"
    )
    async with world() as w:
        scope = Scope(await w.api.open(), tmp_path)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        code, out, error = await scope.run(script, 1)
        assert (code, out) == (0, "['durable_agent_team']\n"), error
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
