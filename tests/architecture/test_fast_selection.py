"""`make fast` selects what needs no server, and `make test` runs the rest first."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import pytest_collection_modifyitems
from tests.support.selection import TESTS, needs_server

FILES = sorted(TESTS.rglob("test_*.py"))


@pytest.mark.parametrize(
    "folder", ["chaos", "cli", "client", "docs", "end_to_end", "gateway", "telemetry", "workflows"]
)
def test_a_folder_with_servers_has_files_that_need_one(folder: str) -> None:
    assert any(needs_server(path) for path in FILES if path.parent == TESTS / folder)


def test_workflow_tests_all_need_a_server() -> None:
    """They start it by a fixture of their `conftest.py`."""
    assert all(needs_server(path) for path in FILES if path.parent.name == "workflows")


@pytest.mark.parametrize("folder", ["activities", "replay", "team_files"])
def test_pure_tests_need_none(folder: str) -> None:
    assert any(not needs_server(path) for path in FILES if path.parent == TESTS / folder)


def test_fast_collects_exactly_the_files_that_need_no_server() -> None:
    command = [sys.executable, "-m", "pytest", "--fast", "--collect-only", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=TESTS.parent, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (line.partition(":")[0] for line in done.stdout.splitlines())
    collected = {TESTS.parent / line for line in lines if line.endswith(".py")}
    assert collected == {path for path in FILES if not needs_server(path)}
    assert len(collected) > 20


def test_fast_runs_what_it_selects_in_processes_of_its_own() -> None:
    """As `make fast` does. A session that fails before its first test is no success."""
    command = [sys.executable, "-m", "pytest", "--fast", "-n", "1", "--dist", "loadfile"]
    command += ["-p", "no:cacheprovider", "tests/unit/test_token_kinds.py"]
    done = subprocess.run(
        command, cwd=TESTS.parent, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, "passed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_files_that_need_a_server_run_first(request: pytest.FixtureRequest) -> None:
    items = list(reversed(request.session.items))
    pytest_collection_modifyitems(items)
    needs = [needs_server(Path(item.path)) for item in items]
    assert needs == sorted(needs, reverse=True)
