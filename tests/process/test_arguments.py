"""The programs that only have settings: `--help` starts nothing, and no argument is ignored."""

import subprocess
import sys
from pathlib import Path

import pytest

from durable_agent_team.process.project_root import PROJECT_ROOT

PROGRAMS = {
    "worker": (str(PROJECT_ROOT / "worker.py"),),
    "gateway": ("-m", "durable_agent_team.gateway"),
    "local stack": ("-m", "durable_agent_team.local_stack"),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_says_what_it_is_and_where_its_settings_are(program: str, tmp_path: Path) -> None:
    ended = run(tmp_path, *PROGRAMS[program], "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    page = "docs/gateway.md" if program == "gateway" else "docs/settings.md"
    assert page in ended.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("argument", ["--port=8000", "up"])
def test_an_argument_ends_it_with_2(
    argument: str, program: tuple[str, ...], tmp_path: Path
) -> None:
    ended = run(tmp_path, *program, argument)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"unrecognized arguments: {argument}" in ended.stderr
    assert "Traceback" not in ended.stderr


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """What starts instead is ended after a minute."""
    return subprocess.run(
        [sys.executable, *command],
        env={"DATA_DIR": str(folder), "PYTHONPATH": str(PROJECT_ROOT)},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
