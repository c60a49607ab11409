"""A program as a process: what it gets, what it gives, and that nothing of it is left."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from activities.programs.exceptions import ProgramError
from activities.programs.supervised_process import MAX_STDERR_BYTES, MAX_STDOUT_BYTES
from durable_agent_team.contracts.call import Rejected, Source
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.program_kinds import CommandRun
from tests.activities.programs.support import (
    SCOPE,
    WORKER,
    Runs,
    command,
    gone,
    parent_of,
    program_call,
    runs_in,
    started,
    written,
)
from tests.activities.support import AGENT_KEY, call
from tests.support import secrets

SLEEPER = "import time; time.sleep(600)"
GRANDCHILD = f"""
import os, subprocess, sys, time
mark = sys.argv[1]
child = subprocess.Popen([sys.executable, "-c", {SLEEPER!r}], start_new_session=True)
if not os.fork():
    os.setsid()
    if not os.fork():
        print(os.getpid(), child.pid, file=open(mark + ".part", "w"), flush=True)
        os.rename(mark + ".part", mark)
        time.sleep(600)
    os._exit(0)
"""
"""Starts a session of its own, and a daemon by two forks, whose parent is gone."""


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    with runs_in(tmp_path) as made:
        yield made


async def failure(runs: Runs, code: str, *arguments: str, seconds: float = 20) -> ProgramError:
    with pytest.raises(ProgramError) as caught:
        await runs.run(command(code, *arguments), seconds)
    return caught.value


async def test_a_program_gets_exactly_the_documented_environment(
    runs: Runs, tmp_path: Path
) -> None:
    done = await runs.run(command("import json, os; print(json.dumps(dict(os.environ)))"))
    found = json.loads(done.answer)
    home, report = found.pop("HOME"), found.pop("AGENT_REPORT")
    assert found.pop("TMPDIR") == home
    assert found.pop("PYTHONPATH").endswith("/modules")
    assert found == {
        "PATH": WORKER["PATH"],
        "LANG": "C.UTF-8",
        "AGENT_BASE_URL": "http://127.0.0.1:9/scopes/scope-1/1001/v1",
        "AGENT_API_KEY": "[key]",
        "AGENT_MODEL": "m",
        "AGENT_SCOPE": "scope-1",
        "AGENT_ATTEMPT": "1001",
        "AGENT_GATEWAY_URL": "http://127.0.0.1:9",
    }, "a key that a program prints is removed, and there is nothing else"
    assert home.startswith(str(tmp_path / "work"))
    assert report.startswith(home.removesuffix("home"))
    assert not list((tmp_path / "work").glob("worker-*/program-*"))


async def test_a_program_gets_the_variables_that_its_team_names(tmp_path: Path) -> None:
    worker = {**WORKER, "SEARCH": "search-key-0123456789", "PLAIN": "value"}
    run = CommandRun(
        command=("sh", "-c", "test $SEARCH_KEY = search-key-0123456789 && echo $SEARCH_KEY $IN"),
        env={"SEARCH_KEY": "$SEARCH", "IN": "$PLAIN"},
    )
    with runs_in(tmp_path, worker) as runs:
        done = await runs.run(program_call(run))
        assert done.answer == "[key] value", "a variable whose name says that it is a secret is one"
        for env in (["ATXP_API_KEY"], {"X": "$SEALING_KEY"}, ["AGENT_SCOPE"], ["MISSING_API_KEY"]):
            with pytest.raises(ProgramError) as caught:
                await runs.run(program_call(CommandRun(command=("true",), env=env)))
            assert caught.value.kind is ErrorType.ENVIRONMENT_FAILED
            assert caught.value.final
    assert "${AGENTS" not in str(caught.value)
    assert "env: {MISSING_API_KEY: $AGENTS_MISSING_KEY}" in str(caught.value)


async def test_the_task_is_on_standard_input_without_the_key(runs: Runs) -> None:
    request = call(
        sources=(Source(name="a.md", text="Ünïcode\n"),),
        missing=("b.md",),
        rejected=Rejected(answer="no", reasons=("too short",)),
        output={"type": "object"},
    )
    program = command("import sys; print(sys.stdin.read())", call=request, instructions="Be brief.")
    task = json.loads((await runs.run(program)).answer)
    assert task == {
        "task": "market",
        "agent": "research",
        "role": "Market researcher",
        "instructions": "Be brief.",
        "ask": "List the facts on demand.",
        "inputs": [{"name": "a.md", "text": "Ünïcode\n"}],
        "missing": ["b.md"],
        "output": {"type": "object"},
        "rejected": {"answer": "no", "reasons": ["too short"]},
        "model": {
            "name": "m",
            "base_url": "http://127.0.0.1:9/scopes/scope-1/1001/v1",
            "max_tokens": 100,
            "temperature": 0,
        },
    }


async def test_no_descriptor_of_the_worker_is_open_in_a_program(runs: Runs, tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        code = "import os; print(sorted(os.listdir('/proc/self/fd')))"
        done = await runs.run(command(code))
    assert done.answer == "['0', '1', '2', '3']", "3 is the directory that is listed"


async def test_the_commands_directory_is_where_its_paths_begin(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text("import os\nprint(os.getcwd())\n")
    run = CommandRun(command=(sys.executable, "agent.py"), directory=str(tmp_path))
    assert (await runs.run(program_call(run))).answer == str(tmp_path)


DEEP = """
def deeper(depth):
    if not depth:
        raise ValueError("the model gave no JSON:\\n\\n  {'a'")
    deeper(depth - 1) + deeper(depth - 1) + deeper(depth - 1) + deeper(depth - 1)
try:
    1 / 0
except ZeroDivisionError:
    deeper(2)
"""


async def test_a_message_begins_with_the_exception_and_not_with_the_frames_above_it(
    runs: Runs, tmp_path: Path
) -> None:
    (tmp_path / "agent.py").write_text(DEEP)
    run = CommandRun(command=(sys.executable, "agent.py"), directory=str(tmp_path))
    with pytest.raises(ProgramError) as caught:
        await runs.run(program_call(run))
    reason, _, shown = str(caught.value).partition("; standard error:\n")
    said = "exit code 1: ValueError: the model gave no JSON:\n\n  {'a'"
    assert reason.endswith(said), "the last one, with all of its lines"
    assert "line 9, in <module>" in shown
    assert "^" not in shown, "marks below the code are noise in a line"
    assert "^^^" in caught.value.stderr, "what the program wrote is kept as it was"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit(3)", "exit code 3"),
        ("raise KeyError('x' * 1000)", "exit code 1: KeyError: 'xxx"),
        ("raise ExceptionGroup('all', [ValueError('one')])", "ValueError: one"),
        ("import sys; print('why', file=sys.stderr); sys.exit(1)", "standard error:\nwhy"),
        ("pass", "without an answer"),
        ("print('  ')", "without an answer"),
        ("import os; os.close(1)", "without an answer"),
        ("import os; os.write(1, b'a\\xff')", "not UTF-8 (byte 1)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    ],
)
async def test_what_is_no_answer_fails(runs: Runs, code: str, said: str) -> None:
    error = await failure(runs, code)
    assert error.kind is ErrorType.PROGRAM_FAILED
    assert said in str(error)
    assert not error.final


async def test_signals_are_not_ignored_in_a_program(runs: Runs) -> None:
    with pytest.raises(ProgramError, match="SIGPIPE"):
        await runs.run(program_call(CommandRun(command=("sh", "-c", "kill -PIPE $$"))))


@pytest.mark.parametrize("program", ["no-such-program", "/etc/passwd"])
async def test_a_program_that_cannot_be_started_says_why(runs: Runs, program: str) -> None:
    with pytest.raises(ProgramError, match=program) as caught:
        await runs.run(program_call(CommandRun(command=(program, "x"))))
    assert caught.value.final


@pytest.mark.parametrize(
    "run",
    [
        CommandRun(command=("/bin/echo", "a\0b")),
        CommandRun(command=("/bin/\0",)),
        CommandRun(command=("/bin/echo",), directory="/tmp/\0"),
    ],
)
async def test_what_no_process_can_be_given_is_no_bug_of_ours(runs: Runs, run: CommandRun) -> None:
    with pytest.raises(ProgramError) as caught:
        await runs.run(program_call(run))
    assert "could not be started: its directory, an argument or a variable" in str(caught.value)
    assert caught.value.final


async def test_a_program_may_end_before_it_reads_and_read_late(runs: Runs) -> None:
    large = call(sources=(Source(name="a", text="x" * 900_000),))
    assert (await runs.run(command("print('unread')", call=large))).answer == "unread"
    late = "import sys, time; time.sleep(0.3); print(len(sys.stdin.read()) > 900_000)"
    assert (await runs.run(command(late, call=large))).answer == "True"


async def test_a_program_may_close_its_output_and_work_on(runs: Runs, tmp_path: Path) -> None:
    code = (
        "import os, sys, time; os.write(1, b'done\\n'); os.close(1); os.close(2); time.sleep(0.2);"
        "open(sys.argv[1], 'w').write('worked on')"
    )
    done = await runs.run(command(code, str(tmp_path / "mark")))
    assert done.answer == "done"
    assert (tmp_path / "mark").read_text() == "worked on"


async def test_a_flood_of_output_kills_the_program(runs: Runs) -> None:
    error = await failure(runs, "while True: print('x' * 1000)")
    assert error.kind is ErrorType.PROGRAM_FAILED
    assert f"more than {MAX_STDOUT_BYTES // 1024} KB" in str(error)


async def test_as_much_output_as_is_allowed_is_an_answer(runs: Runs) -> None:
    done = await runs.run(command(f"print('x' * {MAX_STDOUT_BYTES - 1})"))
    assert len(done.answer) == MAX_STDOUT_BYTES - 1


async def test_the_end_of_a_flood_on_standard_error_is_kept(runs: Runs) -> None:
    code = (
        "import sys; print('x' * 3_000_000, '\\x1b[31mthe end\\udc80', file=sys.stderr);print('ok')"
    )
    done = await runs.run(command(code))
    assert done.answer == "ok"
    assert len(done.stderr.encode()) <= MAX_STDERR_BYTES
    assert done.stderr.startswith("xxx")
    assert "\x1b[31mthe end" in done.stderr, "escape sequences are kept as they are"


async def test_a_hanging_program_is_killed_at_its_time(runs: Runs, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"""
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
{GRANDCHILD}
print("said before", file=sys.stderr, flush=True)
while True: time.sleep(600)
"""
    error = await failure(runs, code, str(mark), seconds=1)
    assert error.kind is ErrorType.PROGRAM_TIMEOUT
    assert "within 1 s" in str(error)
    assert "said before" in error.stderr
    assert await gone(*map(int, mark.read_text().split()))


async def test_what_a_program_leaves_running_ends_with_it(runs: Runs, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    wait = "\nimport pathlib\nwhile not pathlib.Path(mark).exists(): time.sleep(0.01)\nprint('ok')"
    done = await runs.run(command(GRANDCHILD + wait, str(mark)))
    assert done.answer == "ok"
    assert await gone(*map(int, mark.read_text().split()))


async def test_a_cancelled_program_ends_with_all_that_it_started(
    runs: Runs, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    async with started(runs, command(GRANDCHILD + SLEEPER, str(mark)), mark) as running:
        pids = tuple(map(int, mark.read_text().split()))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await gone(*pids)
    assert not list((tmp_path / "work").glob("worker-*/program-*"))


async def test_a_killed_supervisor_takes_the_program_with_it(runs: Runs, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = f"import os, signal\n{GRANDCHILD}\n{SLEEPER}"
    async with started(runs, command(code, str(mark)), mark) as running:
        pids = tuple(map(int, mark.read_text().split()))
        parent = parent_of(pids[1])
        os.kill(parent_of(parent), signal.SIGKILL)
        with pytest.raises(ProgramError, match="supervisor was killed"):
            await running
        assert await gone(parent, *pids)


async def test_zombies_of_a_program_do_not_hold_it(runs: Runs) -> None:
    code = "import os, time\nif not os.fork(): os._exit(0)\ntime.sleep(0.1)\nprint('ok')"
    assert (await runs.run(command(code))).answer == "ok"


WORKER_CODE = """
import asyncio, sys
from pathlib import Path
from tests.activities.programs.support import Runs, command
asyncio.run(Runs(Path(sys.argv[1])).run(command(sys.argv[2], sys.argv[3])))
"""


async def test_a_killed_worker_leaves_nothing(tmp_path: Path) -> None:
    """The program, its child in another session and its daemon end; the next worker removes the
    directory."""
    mark = tmp_path / "mark"
    code = GRANDCHILD + SLEEPER
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WORKER_CODE, str(tmp_path), code, str(mark)),
        cwd=Path(__file__).parents[3],
    )
    pids = tuple(map(int, (await written(mark)).split()))
    worker.kill()
    await worker.wait()
    assert await gone(*pids)
    work = tmp_path / "work"
    assert list(work.glob("worker-*/program-*"))
    with runs_in(tmp_path) as next_worker:
        next_worker.directories.own()
        assert next_worker.directories.clean() == 1
        assert len(list(work.glob("worker-*"))) == 1, "its own stays"


async def test_a_directory_without_permissions_is_removed(runs: Runs, tmp_path: Path) -> None:
    code = (
        "import os, tempfile; d = tempfile.mkdtemp(); open(d + '/f', 'w').close();"
        " os.chmod(d, 0); os.chdir('/'); os.chmod(os.environ['HOME'], 0o500); print('ok')"
    )
    assert (await runs.run(command(code))).answer == "ok"
    assert not list((tmp_path / "work").glob("worker-*/program-*"))


async def test_the_key_is_in_nothing_that_leaves(runs: Runs) -> None:
    code = """
import base64, json, os, sys
key = os.environ["AGENT_API_KEY"]
shown = [key, key.upper(), key.encode().hex(), base64.b64encode(b"user:" + key.encode()).decode(),
         base64.b64encode(key.encode()).decode(), f"Authorization: Bearer {key}"]
print(*shown, sep="\\n")
print(*shown, "x" * 66_000 + key, sep="\\n", file=sys.stderr)
print("y" * (64 * 1024 - 20 - len(key)), file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""
    done = await runs.run(command(code, "0"))
    error = await failure(runs, code, "1")
    places = {
        "answer": done.answer.encode(),
        "stderr": done.stderr.encode(),
        "message": str(error).encode(),
        "failed": error.stderr.encode(),
    }
    assert secrets.found({"agent": AGENT_KEY}, places) == []
    assert not any(SCOPE.key.get_secret_value()[8:] in each.decode() for each in places.values())
