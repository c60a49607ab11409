"""Ctrl-C while something installs or loads: it ends, leaves nothing running, and no traceback."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from durable_agent_team.process.project_root import PROJECT_ROOT

SLOW_PYTHON = """#!/bin/sh
case "$*" in
*venv*--clear*) exec "{python}" -c 'import os, time; open("pid", "w").write(str(os.getpid()));
time.sleep(60)';;
*print*) echo 3.11;;
esac
"""


def started(command: list[str], folder: Path, **env: str) -> subprocess.Popen[str]:
    """In a session of its own, as a shell starts a command that Ctrl-C then reaches as a whole."""
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Tests that run in the background of a shell ignore SIGINT, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def interrupted(process: subprocess.Popen[str]) -> str:
    os.killpg(process.pid, signal.SIGINT)
    try:
        return process.communicate(timeout=30)[0]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def test_an_installation_ends_with_everything_that_it_started(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    shutil.copy(PROJECT_ROOT / "requirements" / "install.sh", tmp_path / "requirements")
    fake = tmp_path / "python3"
    fake.write_text(SLOW_PYTHON.format(python=sys.executable))
    fake.chmod(0o755)
    script = started(["bash", "requirements/install.sh"], tmp_path, PYTHON=str(fake))
    pid = tmp_path / "pid"
    ends = time.monotonic() + 30
    while not (pid.exists() and pid.read_text()) and time.monotonic() < ends:
        time.sleep(0.02)
    said = interrupted(script)
    assert script.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.parametrize(("target", "seconds"), [("up", 0.2), ("demo", 0.8)])
def test_a_program_that_loads_ends_silently(target: str, seconds: float, tmp_path: Path) -> None:
    command = ["make", "--no-print-directory", target]
    for stamp in (".venv/.installed", ".venv/.installed-development"):
        command += ["-o", stamp]  # nothing is installed here
    ports = dict.fromkeys(("TEMPORAL_PORT", "TEMPORAL_UI_PORT", "GATEWAY_PORT"), "0")
    loading = started(command, PROJECT_ROOT, DATA_DIR=str(tmp_path / "data"), **ports)
    time.sleep(seconds)
    said = interrupted(loading)
    assert "Traceback" not in said
    assert loading.returncode != 0
