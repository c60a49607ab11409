"""Where the tour's errors are made: Temporal, a worker, the gateway and an upstream, all real."""

import asyncio
import base64
import contextlib
import os
import re
import shlex
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import SecretStr
from temporalio.client import Client
from temporalio.service import RPCError

from durable_agent_team.atxp.http_client import HttpClient
from durable_agent_team.contracts.names import STARTER
from durable_agent_team.local_stack.stack_plan import StackSettings
from durable_agent_team.process.operator_settings import OperatorSettings
from durable_agent_team.process.settings import WorkerSettings
from tests.docs.tour.case import Case, Output, Worker
from tests.support.gateway import PARENT_KEY, RunningGateway, running_gateway
from tests.support.temporal import server, temporal_cli
from tests.support.upstream import Rule, ScriptedUpstream
from tests.support.warm import warm_command
from worker import all_activities, build_worker

ROOT = Path(__file__).parents[3]
AT_ONCE = 3
MODEL = "smollm2-135m"
SECONDS = 60
"""For any one command: a patience for slow machines, not a measure."""
REFUNDS = '{"action": "refund", "arguments": {"order": "A-17", "share": "full"}}'
"""What a model without tools says that calls one."""
RULES = [
    *(Rule(contains=f"Ask for {status}.", status=status) for status in (400, 402, 403, 429, 500)),
    Rule(contains="Ask for a nap.", latency=2),
    Rule(contains="Ask for a long nap.", latency=12),
    Rule(contains="Ask for HTML.", body="<html>"),
    Rule(contains="Plan nonsense", text="I would rather not."),
    Rule(contains="Refund order A-17.", text=REFUNDS),
]
SEALING_KEYS = [base64.urlsafe_b64encode(bytes([number] * 32)).decode() for number in (1, 2)]
UNSET = {
    name.upper(): ""
    for kind in (WorkerSettings, OperatorSettings, StackSettings)
    for name in kind.model_fields
}
"""A developer's own `.env` does not count: an empty variable goes before it."""


@dataclass(frozen=True)
class Stage:
    """Everything is up; `play` lets one error happen."""

    folder: Path
    client: Client
    gateway: RunningGateway
    http: HttpClient
    keys: dict[str, str]
    ids: dict[str, str]
    taken: int
    """A port that something listens on."""

    @property
    def address(self) -> str:
        return self.client.service_client.config.target_host

    def place(self, number: int) -> Path:
        return self.folder / f"{number:03}"

    async def prepare(self, number: int, case: Case) -> None:
        """Everything that a good worker is needed for, so that another may take over."""
        here = self.place(number)
        here.mkdir()
        for name, content in case.files.items():
            if name.endswith("/"):
                (here / name).mkdir()
            else:
                _write(here / name, content)
        for command in case.before:
            await self._end(await self._begin(command, here, {}))
        if case.begun is not None:
            await self._wait(*case.begun)

    async def play(self, number: int, case: Case) -> Output:
        here = self.place(number)
        for command in case.given:
            await self._end(await self._begin(command, here, {}))
        if case.until is not None:
            await self._wait(*case.until)
        if case.command.split(" ")[0] in ("GET", "POST", "PATCH", "DELETE"):
            return await self._ask(case)
        process = await self._begin(case.command, here, self._filled(case.env, here))
        if case.stop_after is not None:
            return await self._stop(process, case.stop_after, here)
        return self._output(*await self._end(process), here)

    def _filled(self, env: Mapping[str, str], here: Path) -> dict[str, str]:
        values = {"here": str(here), "taken": str(self.taken), "parent": PARENT_KEY}
        return {name: value.format(**values) for name, value in env.items()}

    async def _begin(self, command: str, here: Path, env: dict[str, str]) -> Process:
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
        own = {
            "TEMPORAL_ADDRESS": self.address,
            "ATXP_LLM_URL": self.gateway.base_url,
            "ATXP_API_URL": self.gateway.base_url,
            "DATA_DIR": str(here / ".data"),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "PATH": f"{Path(temporal_cli()).parent}:{kept['PATH']}",
        }
        words = _words(command)
        if words[0] == "temporal":
            words += ["--address", self.address]
        return await asyncio.create_subprocess_exec(
            "bash", "-c", shlex.join(words).replace("'>' ", "> "), cwd=here,
            env={**UNSET, **kept, **own, **env}, stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE, stderr=PIPE,
        )  # fmt: skip

    async def _end(self, process: Process) -> tuple[str, int]:
        try:
            out, err = await asyncio.wait_for(process.communicate(), SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
        return out.decode() + err.decode(), process.returncode or 0

    async def _stop(self, process: Process, text: str, here: Path) -> Output:
        assert process.stderr is not None
        said = ""
        try:
            async with asyncio.timeout(SECONDS):
                while text not in said:
                    line = await process.stderr.readline()
                    assert line, f"it ended after {said}"
                    said += line.decode()
            process.terminate()
            _, code = await self._end(process)
        finally:
            if process.returncode is None:
                process.kill()
        return self._output(said, code, here)

    async def _wait(self, run: str, status: str) -> None:
        """Until a run has come so far; a status of a task will do as well."""
        handle = self.client.get_workflow_handle(run)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                while True:
                    with contextlib.suppress(RPCError):  # its worker has not seen it yet
                        state = await handle.query("state")
                        if state["status"] in (status, "failed") or state["waiting"]:
                            return
                    await asyncio.sleep(0.1)

    async def _ask(self, case: Case) -> Output:
        method, path, body = (*case.command.split(" ", 2), "")[:3]
        key = self.keys.get(case.key)
        for name, value in self.ids.items():
            path, body = path.replace(f"{{{name}}}", value), body.replace(f"{{{name}}}", value)
        answer = await self.http.request(
            method, self.gateway.url + path, content=body,
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )  # fmt: skip
        return self._output(answer.text, answer.status_code, self.folder)

    def _output(self, text: str, code: int, here: Path) -> Output:
        """The text as it is on every machine."""
        for name, value in self.ids.items():
            text = text.replace(value, f"{{{name}}}")
        for mine, everyones in (
            (STARTER, "starter.py"),
            (f"{here}/", ""), (str(here), "."),
            (str(self.gateway.server.models.prices.path), "prices.toml"),
            (f"{ROOT}/", ""), (self.address, "127.0.0.1:7233"),
            (self.gateway.url, "http://127.0.0.1:8402"), (str(self.taken), "7233"),
        ):  # fmt: skip
            text = text.replace(mine, everyones)
        for pattern, instead in SAME:
            text = re.sub(pattern, instead, text)
        return Output("\n".join(line.rstrip() for line in text.strip().splitlines()), code)


SAME = (
    (
        r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
        "00000000-0000-4000-8000-000000000000",
    ),
    (r"agt_[0-9a-f]{32}", "agt_" + "0" * 32),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d UTC", "2026-12-31 12:00 UTC"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(\+00:00|Z)", "2026-12-31T12:00:00Z"),
    (r"(?m)^(  )?\d\d:\d\d:\d\d ", r"\g<1>12:00:00 "),
    (r"\b(\d+ [hm] )*\d+(\.\d+)? s\b", "0.1 s"),
    (r"python3\.\d+-venv\)", "python3.11-venv)"),
    (r"127\.0\.0\.1:(?!9\b|7233|8402)\d{4,5}", "127.0.0.1:PORT"),
    (r"x{1000,}", "x…x"),
)
"""What differs from run to run."""


def _write(path: Path, content: str | bytes) -> None:
    if isinstance(content, str):
        content = content.replace("{python}", sys.executable).encode()
    path.write_bytes(content)
    path.chmod(0o755)


def _words(command: str) -> list[str]:
    """As it is typed, but with the programs where they are here."""
    words = shlex.split(command.replace("$'a\\nb'", "'a\nb'"))
    if command.startswith("make "):
        install = ["bash", str(ROOT / "requirements" / "install.sh")]
        up = [sys.executable, "-m", "durable_agent_team.local_stack"]
        return install if words[1] == "install" else up
    if words == ["python", "-m", "durable_agent_team.gateway"]:
        return warm_command("gateway")
    if words[0] == "python":
        return [sys.executable, *words[1:]]
    return [*warm_command(words[0]), *words[1:]] if words[0][-3:] == ".py" else words


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    async with (
        server() as environment,
        ScriptedUpstream([replace(rule) for rule in RULES]) as upstream,
        running_gateway(upstream.url) as gateway,
        HttpClient() as http,
    ):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            keys, ids = await _accounts(http, gateway)
            taken = listener.getsockname()[1]
            yield Stage(folder, environment.client, gateway, http, keys, ids, taken)


async def _accounts(
    http: HttpClient, gateway: RunningGateway
) -> tuple[dict[str, str], dict[str, str]]:
    """The keys and ids of accounts of every kind."""
    parent = {"Authorization": f"Bearer {PARENT_KEY}"}

    async def opened(name: str, budget: float) -> dict[str, str]:
        order = {"name": name, "budget": budget}
        answer = await http.post(f"{gateway.base_url}/agents", json=order, headers=parent)
        return dict(answer.json())

    good, poor = await opened("research", 1), await opened("poor", 0.000001)
    spent, off = await opened("spent", 1), await opened("closed", 1)
    hello = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    await http.post(
        f"{gateway.base_url}/chat/completions", json=hello,
        headers={"Authorization": f"Bearer {spent['api_key']}"},
    )  # fmt: skip
    await http.patch(
        f"{gateway.base_url}/agents/{off['id']}", json={"status": "disabled"}, headers=parent
    )
    keys = {
        "parent": PARENT_KEY, "agent": good["api_key"], "poor": poor["api_key"],
        "disabled": off["api_key"], "wrong": "atxp-agent-of-nobody",
    }  # fmt: skip
    return keys, {"id": good["id"], "spent": spent["id"]}


@asynccontextmanager
async def serving(there: Stage, sealing_key: str) -> AsyncIterator[None]:
    """Our worker, as `worker.py` puts it together."""
    settings = WorkerSettings.model_construct(
        atxp_api_url=there.gateway.base_url, atxp_llm_url=there.gateway.base_url,
        atxp_api_key=SecretStr(PARENT_KEY), sealing_key=SecretStr(sealing_key),
        default_model=MODEL, graceful_shutdown_seconds=5,
    )  # fmt: skip
    async with build_worker(there.client, settings, all_activities(settings, there.http)):
        yield


async def play_all(folder: Path, cases: Sequence[Case]) -> list[Output]:
    """Makes every error; those that need another worker, or none, come last."""
    outputs: dict[int, Output] = {}
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(there: Stage, number: int) -> None:
        async with gate:
            outputs[number] = await there.play(number, cases[number])

    async def all_with(there: Stage, worker: Worker) -> None:
        numbers = [number for number, case in enumerate(cases) if case.worker == worker]
        await asyncio.gather(*(one(there, number) for number in numbers))

    async with stage(folder) as there:
        async with serving(there, SEALING_KEYS[0]):
            for number, case in enumerate(cases):
                await there.prepare(number, case)
            await all_with(there, "good")
        await all_with(there, "none")
        async with serving(there, SEALING_KEYS[1]):
            await all_with(there, "other key")
    return [outputs[number] for number in range(len(cases))]
