"""The gateway under test, started by a command so that it can be killed."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import httpx

START_SECONDS = 120.0


class NotStarted(Exception):
    """The gateway did not answer in time, and the message has the end of its output; or another
    process answered before it was started."""


class StartedGateway:
    """A process group of its own, so that SIGKILL reaches every process of the gateway."""

    def __init__(
        self, command: str, ready_url: str, log: Path, environment: dict[str, str]
    ) -> None:
        self._command = command
        self._ready_url = ready_url
        self._log = log
        self._environment = {**os.environ, **environment}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns when the gateway answers with a status below 500. `NotStarted`."""
        async with httpx.AsyncClient(trust_env=False) as http:
            if await self._answers(http):
                raise NotStarted(f"--start: something else answers at {self._ready_url} already")
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_shell(
                f"exec {self._command}",
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS), httpx.AsyncClient(trust_env=False) as http:
                while self._process.returncode is None:
                    if await self._answers(http):
                        return
                    await asyncio.sleep(0.05)
        raise NotStarted(
            f"--start: the gateway does not answer at {self._ready_url}; {self.said()}"
        )

    async def _answers(self, http: httpx.AsyncClient) -> bool:
        try:
            return (await http.get(self._ready_url)).status_code < 500
        except httpx.HTTPError:
            return False

    async def kill(self) -> None:
        """SIGKILL for all of it."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()

    async def restart(self) -> None:
        await self.kill()
        await self.start()

    def said(self) -> str:
        text = self._log.read_text(errors="replace")[-1500:].strip()
        return f"it printed:\n{text}" if text else "it printed nothing"
