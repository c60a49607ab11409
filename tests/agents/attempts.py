"""Attempts of one scope against the real gateway: in this process, or in one that can be killed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.gateway.client import Agent

ROOT = Path(__file__).parents[2]


@dataclass
class Scope:
    """A scope of an agent's, and where its programs report what is unknown."""

    agent: Agent
    folder: Path
    name: str = "scope-1"

    def variables(self, attempt: int) -> dict[str, str]:
        return {
            "AGENT_GATEWAY_URL": self.agent.api.url,
            "AGENT_API_KEY": self.agent.key,
            "AGENT_SCOPE": self.name,
            "AGENT_ATTEMPT": str(attempt),
            "AGENT_REPORT": str(self.report(attempt)),
        }

    def report(self, attempt: int) -> Path:
        return self.folder / f"report-{self.name}-{attempt}.json"

    @contextmanager
    def attempt(self, number: int) -> Iterator[None]:
        """The environment of an attempt, in this process."""
        with patch.dict(os.environ, self.variables(number)):
            yield

    async def resolve(self, effect: str, decision: str, **more: Any) -> int:
        reply = await self.agent.api.send(
            "POST",
            f"/v1/scopes/{self.name}/effects/{effect}/resolve?agent={self.agent.id}",
            {"decision": decision, **more},
        )
        return reply.status

    async def effects(self) -> list[Any]:
        path = f"/v1/scopes/{self.name}/effects"
        reply = await self.agent.api.send("GET", path, key=self.agent.key)
        listed: list[Any] = reply.json["data"]
        return listed

    async def start(
        self, script: str, attempt: int, more: Mapping[str, str] | None = None
    ) -> asyncio.subprocess.Process:
        """A Python script in a process of its own."""
        return await self.start_program([sys.executable, "-c", script], attempt, more)

    async def start_program(
        self, command: list[str], attempt: int, more: Mapping[str, str] | None = None
    ) -> asyncio.subprocess.Process:
        """With the environment of a program, and nothing else."""
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "PYTHONDONTWRITEBYTECODE": "1",
                **self.variables(attempt),
                **(more or {}),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, script: str, attempt: int) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        return await self.run_program([sys.executable, "-c", script], attempt)

    async def run_program(self, command: list[str], attempt: int) -> tuple[int, str, str]:
        process = await self.start_program(command, attempt)
        out, error = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return process.returncode, out.decode(), error.decode()
