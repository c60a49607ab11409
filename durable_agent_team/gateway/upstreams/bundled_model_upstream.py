"""The bundled model as an upstream. It runs in a process that is restarted when it ends."""

import asyncio
import logging
import sys
from contextlib import suppress

from durable_agent_team.gateway.api_error import unavailable
from durable_agent_team.gateway.calls.answer import FailedCall, UpstreamResult
from durable_agent_team.gateway.calls.chat_request import ChatRequest
from durable_agent_team.gateway.calls.relay import Relay
from durable_agent_team.gateway.upstreams.bundled_model_server import READY, model_file
from durable_agent_team.gateway.upstreams.http_upstream import HttpUpstream
from durable_agent_team.gateway.upstreams.upstream_limits import UpstreamLimits

log = logging.getLogger("gateway.local")

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
STABLE_SECONDS = 60.0
ONE_CALL = {"Connection": "close"}
"""The model's server closes a connection after a stream: a call that reuses it in that moment would
count as broken off."""


class BundledModelUpstream:
    """Implements `Upstream`. Raises ModelMissing if the model's packages are not installed."""

    def __init__(self, limits: UpstreamLimits) -> None:
        model_file()
        self._limits = limits
        self._http: HttpUpstream | None = None
        self.process: asyncio.subprocess.Process | None = None
        self._supervisor = asyncio.create_task(self._supervise())

    def not_ready(self, upstream: str | None = None) -> str | None:
        return None if self._http else "The bundled model is being loaded"

    def open_circuits(self) -> dict[str, int]:
        return {}

    async def complete(
        self, request: ChatRequest, idempotency_key: str, relay: Relay
    ) -> UpstreamResult:
        if self._http is None:  # it ended after `not_ready` was checked
            return FailedCall(
                unavailable("The bundled model is being loaded", "upstream_not_ready")
            )
        return await self._http.complete(request, idempotency_key, relay)

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE
        while True:
            started = loop.time()
            try:
                status = await self._run_once()
            except (OSError, ValueError) as error:  # ValueError: a line that is too long
                status = None
                log.error("local model cannot be started or read: %s", error)
            if loop.time() - started > STABLE_SECONDS:
                pause = FIRST_PAUSE
            log.error("local model ended (status %s); restart in %g s", status, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _run_once(self) -> int:
        """Returns the exit status of the process when it has ended."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "durable_agent_team.gateway.upstreams.bundled_model_server"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C must reach the gateway only
        )
        self.process = process
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                text = line.decode(errors="replace").strip()
                if text.startswith(READY):
                    address = text.removeprefix(READY)
                    url = f"{address}/v1"
                    self._http = HttpUpstream(url, "", self._limits, headers=ONE_CALL)
                    log.info("local model ready")
            return await process.wait()
        finally:
            http, self._http = self._http, None
            if http is not None:
                await http.close()
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def close(self) -> None:
        self._supervisor.cancel()
        with suppress(asyncio.CancelledError):
            await self._supervisor
