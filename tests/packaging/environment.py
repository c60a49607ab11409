"""A wheel of this project, an empty virtual environment, and an application next to it."""

import asyncio
import os
import re
import subprocess
import sys
import venv
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from durable_agent_team.process.project_root import PROJECT_ROOT

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet")

APPLICATION = {
    "contracts/__init__.py": "TEAM = 'team.yaml'\n",
    "runtime.py": "def show(text: object) -> None:\n    print(text)\n",
    "workflows/__init__.py": "",
    "workflows/orchestrator.py": "GOAL = 'Decide whether to enter the market'\n",
    "activities/__init__.py": "",
    "activities/accounts.py": "RUN = 'from-an-application'\n",
    "application.py": """\
import asyncio

from activities.accounts import RUN
from contracts import TEAM
from durable_agent_team import connect, get_run, list_runs, load_team, start_run
from runtime import show
from workflows.orchestrator import GOAL


async def main() -> None:
    client = await connect()
    run = await start_run(client, load_team(TEAM, goal=GOAL), id=RUN)
    report = await run.result()
    show(report.goal)
    show(report.answer)
    show(f"{report.status} for {report.spend.total.spent_usd} USD")
    assert (await get_run(client, RUN).state()).status == report.status
    assert [each.workflow_id for each in await list_runs(client)] == [RUN]


asyncio.run(main())
""",
    "team.yaml": """\
name: brief
goal: Replaced by the application
orchestrator: {budget_usd: 5}
agents:
  research: {role: Researcher, budget_usd: 1}
tasks:
  - {id: facts, agent: research, ask: List the facts.}
result: facts
""",
}
"""With `contracts`, `runtime`, `workflows` and `activities` of its own, which it imports."""


@dataclass(frozen=True)
class Installation:
    """A virtual environment with the wheel, and the application's folder: where commands run."""

    wheel: Path
    python: Path
    application: Path

    def install(self, *extras: str) -> None:
        """The wheel, with extras if any, and what they require in the versions of the lock."""
        wanted = f"{self.wheel}[{','.join(extras)}]" if extras else str(self.wheel)
        constraints = self.application.with_name("constraints.txt")
        constraints.write_text(_locked_versions())
        command = (*PIP, "--python", str(self.python), "install", "--no-compile")
        subprocess.run([*command, "-c", str(constraints), wanted], check=True, timeout=170)

    def file(self, name: str) -> str:
        """The text of a file inside the installed package."""
        folder = self.python.parents[1] / "lib"
        [found] = folder.glob(f"python3*/site-packages/durable_agent_team/{name}")
        return found.read_text()

    def command(self, name: str) -> str:
        return str(self.python.with_name(name))

    async def run(self, *command: str, **environment: str) -> tuple[int, str, str]:
        """Runs a command to its end: the exit code, its output and its errors."""
        async with self.process(*command, **environment) as process:
            out, err = await asyncio.wait_for(process.communicate(), 90)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    @asynccontextmanager
    async def process(self, *command: str, **environment: str) -> AsyncIterator[Process]:
        """A process in the application's folder, with no variable but PATH, HOME and these."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self.application, env={**kept, **environment}, stdout=PIPE, stderr=PIPE
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


def build_wheel(folder: Path) -> Path:
    """Builds the wheel as `pip install .` does."""
    command = [*PIP, "wheel", "--no-deps", "--wheel-dir", str(folder), str(PROJECT_ROOT)]
    subprocess.run(command, check=True, timeout=170)
    [wheel] = folder.glob("*.whl")
    return wheel


def empty_environment(folder: Path) -> Path:
    """A virtual environment with nothing in it, not even pip: the path of its interpreter."""
    venv.create(folder, with_pip=False, symlinks=True)
    return folder / "bin" / "python"


def write_application(folder: Path) -> Path:
    for name, text in APPLICATION.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def _locked_versions() -> str:
    """The lock as constraints. With its hashes pip would demand one of the wheel, too."""
    lock = (PROJECT_ROOT / "requirements" / "service.lock").read_text()
    return "\n".join(re.findall(r"^([\w.-]+==[^ ;\\]+)", lock, re.MULTILINE)) + "\n"
