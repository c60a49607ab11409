"""A process that may open only a few files, or has no memory, says so, without a trace."""

import shlex
import subprocess
import sys

import pytest

from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.providers.process_limits import COMMAND_MEGABYTES

PROGRAMS = {
    "starter": "starter.py list",
    "worker": "worker.py",
    "gateway": "-m durable_agent_team.gateway",
}


@pytest.mark.parametrize("files", [8, 10, 63])
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_too_few_files_are_named(program: str, files: int) -> None:
    """Libraries fail there with a panic, or with an attribute that is missing."""
    ended = starved(f"ulimit -n {files}", program)
    assert ended.returncode == 2, ended.stderr
    assert f"may open only {files} files" in ended.stderr
    assert "ulimit -n" in ended.stderr or "limit of the system" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("program", "kilobytes"),
    [("starter", 100_000), ("worker", 400_000), ("gateway", 200_000)],
)
def test_too_little_memory_is_named(program: str, kilobytes: int) -> None:
    """Python fails there at a random place, and cannot even print its trace."""
    ended = starved(f"ulimit -v {kilobytes}", PROGRAMS[program])
    assert ended.returncode == 2, ended.stderr
    assert f"may use only {kilobytes * 1024 // 1_000_000} MB of address space" in ended.stderr
    assert "ulimit -v" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_command_runs_with_the_least_memory() -> None:
    ended = starved(f"ulimit -v {COMMAND_MEGABYTES * 1000}", PROGRAMS["starter"])
    assert "Temporal does not answer" in ended.stderr
    assert ended.returncode == 3


def starved(limit: str, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"{limit}; exec {shlex.quote(sys.executable)} {program}"],
        env={"TEMPORAL_ADDRESS": "127.0.0.1:9", "ATXP_LLM_URL": "http://127.0.0.1:9/v1"},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
