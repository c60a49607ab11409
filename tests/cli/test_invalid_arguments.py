"""Every command ends with a message, not with a traceback, whatever its arguments are."""

import inspect
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_agent_team.cli.app import LibraryWarnings, execute
from durable_agent_team.cli.command_group import COMMANDS, load_command
from tests.cli.support import NO_SERVICE, ROOT, TEAM

NONSENSE = [
    "", " ", "é", "a/b", "../x", "a\nb", "a\x00b", "x" * 300, "x" * 5_000, "-", "%s", "\udcff",
    "nan", "-Infinity", "1e400", "0.1234567", "９", "folder", "binary.yaml", "team.yaml",
]  # fmt: skip
CODES = {0, 2, 3}


def commands() -> Iterator[tuple[str, list[str], list[str]]]:
    """Each command with its arguments, by number, and its options that take a value."""
    for name in COMMANDS:
        callback = load_command(name).callback
        assert callback is not None
        parameters = inspect.signature(callback).parameters.values()
        options = ["--" + p.name.replace("_", "-") for p in parameters if p.annotation is not bool]
        taking = [o for o in options if o in ("--goal", "--input", "--id", "--reason", "--note",
                                              "--out", "--limit", "--model", "--instructions",
                                              "--timeout", "--attempts", "--max-parallel",
                                              "--budget", "--deadline")]  # fmt: skip
        positional = [
            p.name for p in parameters
            if p.default is inspect.Parameter.empty and f"--{p.name}" not in taking
        ]  # fmt: skip
        yield name, positional, taking


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with unusual files, and no service."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEMPORAL_ADDRESS", NO_SERVICE)
    monkeypatch.setenv("ATXP_LLM_URL", f"http://{NO_SERVICE}/v1")
    monkeypatch.setenv("ATXP_API_URL", f"http://{NO_SERVICE}/v1")
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary.yaml").write_bytes(b"\xff\x00")
    (tmp_path / "team.yaml").write_text(TEAM)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "positional", "options"), list(commands()), ids=[each[0] for each in commands()]
)
def test_an_invalid_argument_ends_with_a_message(
    desk: Path, capfd: pytest.CaptureFixture[str], name: str, positional: list[str],
    options: list[str],
) -> None:  # fmt: skip
    good = ["team.yaml" if each in ("team", "what") else "brief" for each in positional]
    for value in NONSENSE:
        tried = [[*good[:n], value, *good[n + 1 :]] for n in range(len(good))]
        typed = [[name, "--", *arguments] for arguments in tried]
        typed += [[name, option, value, "--", *good] for option in options]
        for line in typed:
            code = execute(line)
            printed = "".join(capfd.readouterr())
            assert code in CODES, (line, printed)
            assert "Traceback" not in printed, (line, printed)
            assert printed.strip(), line


def test_a_long_argument_is_not_repeated_as_a_whole(capfd: pytest.CaptureFixture[str]) -> None:
    assert execute(["a" * 100_000]) == 2
    assert len("".join(capfd.readouterr())) < 3_000


def test_what_a_library_warns_of_is_one_line_without_escapes(
    capfd: pytest.CaptureFixture[str],
) -> None:
    text = "no sampler \x1b]0;x\x07\u202e\nforged https://me:S3CRET@h/"
    record = logging.LogRecord("lib", logging.WARNING, "", 0, text, None, None)
    LibraryWarnings().emit(record)
    shown = r"warning: lib: no sampler \x1b]0;x\x07\u202e\nforged https://***@h/"
    assert capfd.readouterr().err == shown + "\n"


def starter(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Through a shell, for what only a shell can do."""
    kept = {"PATH": os.environ["PATH"], "TEMPORAL_ADDRESS": NO_SERVICE, **environment}
    return subprocess.run(
        ["bash", "-c", f"{shlex.quote(sys.executable)} starter.py {command}"], cwd=ROOT, env=kept,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "code", "printed"),
    [
        ("list >&-", 3, "Temporal does not answer"),
        ("schema >&-", 2, "standard output cannot be written: it is closed"),
        ("mcp 0<&-", 2, "standard input is closed, and MCP is served there"),
        ("mcp >&-", 2, "standard output is closed, and MCP is served there"),
        ("list 2>&-", 3, ""),
        ("list 0<&- >&- 2>&-", 3, ""),
        ("schema >/dev/full", 2, "standard output cannot be written: No space left"),
        ("list 2>/dev/full", 3, ""),
        ("state $'\\xff'", 2, "argument 2 = \\udcff: is not UTF-8 text"),
        ("budget brief editor -1", 2, "error: -1: is too small (use more than 0)"),
    ],
)
def test_a_closed_or_full_stream_is_not_a_bug(command: str, code: int, printed: str) -> None:
    ended = starter(command)
    assert ended.returncode == code, ended.stderr
    assert printed in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    if "2>&-" in command:
        assert ended.stdout == "", "an error is never put out as an answer"


def test_a_character_that_cannot_be_encoded_is_escaped() -> None:
    ended = starter("budget brief 'Mr. Ü' 1", LC_ALL="C.UTF-8", PYTHONIOENCODING="ascii")
    assert ended.returncode == 2
    assert "AGENT = Mr. \\u00dc: this is not a name" in ended.stderr


@pytest.mark.parametrize("after", [0.05, 0.1, 0.2, 0.4])
def test_a_ctrl_c_at_any_moment_is_quiet(after: float) -> None:
    """However early, once Python itself has started, and loaded what starts a script."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"""
import os, pkgutil, runpy, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Timer({after}, os.kill, (os.getpid(), signal.SIGINT)).start()
sys.argv = ["starter.py", "watch", "brief"]
runpy.run_path("starter.py", run_name="__main__")
"""],
        cwd=ROOT, env={"PATH": os.environ["PATH"], "TEMPORAL_ADDRESS": "192.0.2.1:7233"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    _, err = process.communicate(timeout=60)
    assert process.returncode in (130, 3), err
    assert "Traceback" not in err
