"""The host of `run: {python: ...}`, as a process that has only what a program's environment has."""

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from durable_agent_team.agents.host import NoAnswer, NoFunction, answer_text, load_function

AGENTS = Path(__file__).parents[2] / "durable_agent_team" / "agents"
TASK = {"task": "t", "agent": "a", "role": "R", "instructions": "", "ask": "Say x.", "inputs": []}

MODULE = """
import ctypes, os, subprocess, sys, threading, time
from dataclasses import dataclass

def plain(task):
    return f"{task.ask} {task.client.model} {task.client.base_url}"

async def coroutine(task):
    return {"ask": task.ask, "ü": 1}

def noisy(task):
    print("printed")
    sys.stdout.write("written\\n")
    os.write(1, b"to descriptor 1\\n")
    libc = ctypes.CDLL(None)
    libc.puts(b"from C")
    libc.fflush(None)
    subprocess.run(["echo", "from a child"], check=True)
    return "the answer"

def thread_left(task):
    threading.Thread(target=time.sleep, args=(600,)).start()
    return "done"

def raises(task):
    raise RuntimeError("out of ideas")

def generator(task):
    yield "a"

def exits(task):
    sys.exit(0)

@dataclass
class Point:
    x: int

def dataclass_(task):
    return Point(1)

class Model:
    def model_dump(self, mode):
        return {"mode": mode}

class Crew:
    @staticmethod
    def kickoff(task):
        return Model()

number = 3
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the worker stages them: `durable_agent_team.agents` alone, and the team's own modules."""
    folder = tmp_path_factory.mktemp("modules")
    package = folder / "durable_agent_team"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "agents").symlink_to(AGENTS)
    (folder / "crews.py").write_text(MODULE)
    (folder / "broken.py").write_text("import no_such_library\n")
    (folder / "wrong.py").write_text("1 / 0\n")
    return folder


def host(modules: Path, function: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(modules), "AGENT_MODEL": "m", "AGENT_BASE_URL": "http://x/v1"}
    return subprocess.run(
        [sys.executable, "-S", "-m", "durable_agent_team.agents.host", function],
        input=stdin or json.dumps(TASK),
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        ("crews:plain", "Say x. m http://x/v1"),
        ("crews:coroutine", '{"ask": "Say x.", "ü": 1}'),
        ("crews:thread_left", "done"),
        ("crews:dataclass_", '{"x": 1}'),
        ("crews:Crew.kickoff", '{"mode": "json"}'),
    ],
)
def test_what_a_function_returns_is_the_answer(modules: Path, function: str, answer: str) -> None:
    done = host(modules, function)
    assert (done.returncode, done.stdout) == (0, answer), done.stderr


def test_what_is_printed_is_not_in_the_answer(modules: Path) -> None:
    done = host(modules, "crews:noisy")
    assert done.stdout == "the answer"
    for said in ("printed", "written", "to descriptor 1", "from C", "from a child"):
        assert said in done.stderr


@pytest.mark.parametrize(
    ("function", "code", "said"),
    [
        ("crews:raises", 1, "RuntimeError: out of ideas"),
        ("crews:generator", 1, "is a generator: return the answer as a whole"),
        ("crews:exits", 1, "SystemExit"),
        ("crews:plian", 78, "has no 'plian'; its functions: plain, coroutine"),
        ("crews:number", 78, "is a int, not a function"),
        ("crew:plain", 78, "there is no module 'crew' (for crew:plain): it is searched for in"),
        ("crews.deep:plain", 78, "there is no module 'crews.deep'"),
        ("crews", 78, "is not module:function"),
        ("broken:run", 78, "needs 'no_such_library', which this environment does not have"),
        ("wrong:run", 78, "cannot be imported: ZeroDivisionError"),
    ],
)
def test_what_is_wrong_is_said(modules: Path, function: str, code: int, said: str) -> None:
    done = host(modules, function)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_a_task_that_cannot_be_read_is_said(modules: Path) -> None:
    done = host(modules, "crews:plain", "[]")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the task on standard input cannot be read: the task is no JSON object" in done.stderr


@dataclass
class Offer:
    until: date
    price: Decimal


class Model:
    def model_dump(self, mode: str) -> dict[str, str]:
        return {"mode": mode}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([Model(), Model()], '[{"mode": "json"}, {"mode": "json"}]'),
        (
            {"best": Offer(date(2030, 1, 2), Decimal("3.10"))},
            '{"best": {"until": "2030-01-02", "price": "3.10"}}',
        ),
        (Offer(date(2030, 1, 2), Decimal(3)), '{"until": "2030-01-02", "price": "3"}'),
    ],
)
def test_models_and_dataclasses_may_be_anywhere_in_an_answer(value: object, text: str) -> None:
    assert answer_text(value) == text


@pytest.mark.parametrize("value", [None, "", " \n", float("nan"), {1: object()}, object()])
def test_what_is_no_answer_is_refused(value: object) -> None:
    with pytest.raises(NoAnswer):
        answer_text(value)


def test_a_function_is_found_where_it_is() -> None:
    assert load_function("json:dumps") is json.dumps
    with pytest.raises(NoFunction):
        load_function(":dumps")
