"""The local stack as people use it: processes of their own, a folder of its own, free ports."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from durable_agent_team.process.stack_state import StackInfo, read_running

ROOT = Path(__file__).resolve().parents[2]
DEMO = (sys.executable, "-m", "durable_agent_team.cli.demo")
START_SECONDS = 120
PLACES = ("TEMPORAL_ADDRESS", "ATXP_API_URL", "ATXP_LLM_URL", "ATXP_API_KEY", "UPSTREAM_URL")


def environment(folder: Path) -> dict[str, str]:
    """Of a person who has set nothing but the folder and the ports."""
    env = {name: value for name, value in os.environ.items() if name not in PLACES}
    ports = dict.fromkeys(("TEMPORAL_PORT", "TEMPORAL_UI_PORT", "GATEWAY_PORT"), "0")
    return {**env, **ports, "DATA_DIR": str(folder)}


@contextmanager
def stack_up(folder: Path) -> Iterator["Desk"]:
    """`make up` for as long as the block lasts; then it must have ended by itself."""
    command = [sys.executable, "-m", "durable_agent_team.local_stack"]
    with (folder / "stack.out").open("w") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(folder), stdout=out, stderr=out
        )
    try:
        yield Desk(folder, wait_until_up(folder, process))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(90)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_until_up(folder: Path, process: subprocess.Popen[Any]) -> StackInfo:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if info := read_running(folder):
            return info
        assert process.poll() is None, (folder / "stack.out").read_text()
        time.sleep(0.1)
    raise AssertionError((folder / "stack.out").read_text())


class Desk:
    """Where a person sits: the starter, the Temporal CLI, and a running stack."""

    def __init__(self, folder: Path, info: StackInfo) -> None:
        self.folder = folder
        self.info = info

    def command(self, *command: str, code: int = 0, timeout: float = 300) -> str:
        """Runs a command in the project's folder; answers with its standard output."""
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(self.folder),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def starter(self, *arguments: str, code: int = 0) -> str:
        return self.command(sys.executable, "starter.py", *arguments, code=code)

    def temporal(self, *arguments: str, code: int = 0) -> Any:
        """The real Temporal CLI, its answer as JSON."""
        beside = str(Path(sys.executable).parent)
        binary = shutil.which("temporal", path=beside) or shutil.which("temporal")
        assert binary is not None
        place = ("--address", self.info.temporal_address, "--output", "json")
        out = self.command(binary, *arguments, *place, code=code)
        return json.loads(out) if out.strip() else None

    def query(self, run: str, name: str) -> Any:
        answer = self.temporal("workflow", "query", "--workflow-id", run, "--type", name)
        return answer["queryResult"][0] if "queryResult" in answer else answer
