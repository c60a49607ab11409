"""An agent of a framework as the worker starts it, without a worker: attempts in one scope."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import Process
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from durable_agent_team.process.project_root import PROJECT_ROOT
from tests.frameworks.scripted_model import Script
from tests.frameworks.staged_teams import TEAMS
from tests.gateway.client import Agent

HOST = "durable_agent_team.agents.host"
SECONDS = 60
TASK = {
    "task": "reply",
    "agent": "desk",
    "role": "Support desk",
    "instructions": "Open a ticket for what is broken, then answer in one sentence.",
    "ask": "The brakes of my bicycle squeal.",
    "inputs": [],
    "output": "text",
}


@dataclass
class HostedDesk:
    packages: Path | None
    """Where the framework is installed, if not in the environment of `python`."""
    gateway_url: str
    account: Agent
    script: Script
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    scope: str = "the-scope"
    python: str = sys.executable

    @property
    def tickets(self) -> list[str]:
        file = self.folder / "tickets.txt"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def command(self, team: str, attempt: int) -> tuple[list[str], dict[str, str], bytes]:
        """The command for the function `answer` of this team, or for `module:function`, its
        environment, and the task for its standard input."""
        modules = [each for each in (self.packages, TEAMS, PROJECT_ROOT) if each is not None]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": os.pathsep.join(map(str, modules)),
            "TICKETS": str(self.folder / "tickets.txt"),
            "AGENT_BASE_URL": f"{self.gateway_url}/scopes/{self.scope}/{attempt}/v1",
            "AGENT_API_KEY": self.account.key,
            "AGENT_MODEL": "m",
            "AGENT_SCOPE": self.scope,
            "AGENT_ATTEMPT": str(attempt),
            "AGENT_GATEWAY_URL": self.gateway_url,
            "AGENT_REPORT": str(self.folder / "report.json"),
            **self.variables,
        }
        function = team if ":" in team else f"{team}:answer"
        return [self.python, "-m", HOST, function], environment, json.dumps(TASK).encode()

    async def start(self, team: str, attempt: int) -> Process:
        command, environment, given = self.command(team, attempt)
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(given)
        process.stdin.close()
        return process

    async def answer(self, team: str, attempt: int) -> str:
        """What one whole attempt answers."""
        process = await self.start(team, attempt)
        out, said = await asyncio.wait_for(process.communicate(), SECONDS)
        assert process.returncode == 0, said.decode()
        return out.decode()

    async def kill_in_the_second_call(self, team: str, attempt: int) -> None:
        """SIGKILL while the model's second call is in flight, which then is answered."""
        process = await self.start(team, attempt)
        await asyncio.wait_for(self.script.second_call.wait(), SECONDS)
        process.kill()
        await process.wait()
        self.script.release()

    async def books(self) -> Any:
        """What the gateway knows of the scope."""
        reply = await self.account.api.send("GET", f"/v1/scopes/{self.scope}", key=self.account.key)
        assert reply.status == 200, reply.text
        return reply.json
