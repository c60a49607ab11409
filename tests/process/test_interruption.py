"""Ctrl-C ends a program where Python alone would print the interruption and continue."""

import subprocess
import sys

import pytest

PROGRAM = """
from durable_agent_team.process.interruption import end_where_it_is_lost
end_where_it_is_lost()
class Lost:
    def __del__(self):
        raise {error}
Lost()
print("continues")
"""


def run(error: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(error=error)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_an_interruption_that_nobody_can_catch_ends_the_program() -> None:
    ended = run("KeyboardInterrupt")
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


@pytest.mark.parametrize("error", ["ValueError", "SystemExit"])
def test_any_other_error_is_reported_as_ever(error: str) -> None:
    ended = run(error)
    assert (ended.returncode, ended.stdout) == (0, "continues\n")
    assert error in ended.stderr
