"""One process of the local stack: starts it, restarts it when it exits, stops it."""

import asyncio
import contextlib
import os
import signal
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

from dotenv import dotenv_values

from durable_agent_team.local_stack.stack_plan import Part
from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.process.stack_state import Started, start_time

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
STEADY_SECONDS = 10.0
"""A process that ran this long is restarted at once; for others the pause grows each time."""


OWN_KEYS = frozenset({"ATXP_API_KEY", "TEMPORAL_API_KEY"})
"""The worker's: the key of the gateway's accounts, and Temporal's."""
MAX_MODELS_FILE = 4_000_000
"""Bytes. The gateway takes no longer one."""


def environment_of(part: Part) -> dict[str, str]:
    """`.env`, overridden by the environment and by what the part is given. Keys of model providers
    are only for the gateway."""
    found = {name: each for name, each in dotenv_values(PROJECT_ROOT / ".env").items() if each}
    found |= os.environ
    if not part.gets_provider_keys:
        named = _named_in_models_file(found.get("GATEWAY_MODELS"))
        found = {
            name: each
            for name, each in found.items()
            if name not in named and not _is_provider_key(name)
        }
    return {**found, **part.env, "PYTHONUNBUFFERED": "1"}


def _is_provider_key(name: str) -> bool:
    return name.upper().endswith("_API_KEY") and name.upper() not in OWN_KEYS


def _named_in_models_file(path: str | None) -> set[str]:
    """Every `key_env` of the gateway's models file, whatever it is called. Of a file that cannot be
    read there are none: the gateway says what is wrong with it, and does not start."""
    if not path:
        return set()
    try:
        with (PROJECT_ROOT / path).open("rb") as file:
            text = file.read(MAX_MODELS_FILE).decode()
        upstreams = tomllib.loads(text).get("upstreams", {})
    except (OSError, ValueError):
        return set()
    entries = upstreams.values() if isinstance(upstreams, dict) else ()
    named = {each["key_env"] for each in entries if isinstance(each, dict) and "key_env" in each}
    return {each for each in named if isinstance(each, str)} - OWN_KEYS


class Child:
    """Keeps one part running until `stop`. Its output goes to its own log file."""

    def __init__(self, part: Part, logs: Path, say: Callable[[str], None]) -> None:
        self.part = part
        self.log = logs / f"{part.name}.log"
        self.changed: Callable[[], None] = lambda: None
        self.restarts = 0
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._started = Started(0, "")
        self._offset = 0
        self._stopping = asyncio.Event()
        self._spawning = asyncio.Lock()
        self._watcher: asyncio.Task[None] | None = None

    @property
    def started(self) -> Started:
        return self._started

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode if self._process else None

    async def start(self) -> None:
        await self._spawn()
        self._watcher = asyncio.create_task(self._watch())

    def has_written(self, text: str) -> bool:
        """Whether the current process has written `text`; output of earlier ones does not count."""
        with contextlib.suppress(OSError), self.log.open(errors="replace") as file:
            file.seek(self._offset)
            return text in file.read()
        return False

    def tail(self, lines: int = 8) -> str:
        """The end of the log, including earlier processes: the current one may be silent."""
        with contextlib.suppress(OSError):
            text = self.log.read_text(errors="replace")[-10_000:]
            return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
        return ""

    async def _spawn(self) -> None:
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(log, "ab") as file:
            self._offset = file.tell()
            # In its own session, so that only the stack gets the terminal's Ctrl-C.
            self._process = await asyncio.create_subprocess_exec(
                *self.part.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=environment_of(self.part),
                cwd=self.part.directory,
                start_new_session=True,
                umask=0o077,  # prompts and answers are readable by the user only
            )
        self._started = Started(self._process.pid, start_time(self._process.pid))
        self.changed()

    async def _watch(self) -> None:
        pause = 0.0
        while self._process is not None:
            born = time.monotonic()
            code = await self._process.wait()
            if self._stopping.is_set():
                return
            if time.monotonic() - born > STEADY_SECONDS or self.restarts == 0:
                pause = 0.0
            else:
                pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)
            self._say_restart(code, pause)
            kill_group(self._started.pid, signal.SIGKILL)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            async with self._spawning:
                if self._stopping.is_set():
                    return
                self.restarts += 1
                await self._spawn()

    def _say_restart(self, code: int, pause: float) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        when = f"in {pause:g} s" if pause else "at once"
        self._say(f"{self.part.name} {how}; starting it again {when} (log: {self.log})")

    async def stop(self, *, at_once: bool = False) -> None:
        """Sends SIGTERM, waits, then kills its whole session, so that no process is left."""
        self._stopping.set()
        async with self._spawning:
            process = self._process
        if process is None:
            return
        try:
            if process.returncode is None and not at_once:
                process.send_signal(signal.SIGTERM)
                await asyncio.wait_for(process.wait(), self.part.stop_seconds)
        except (TimeoutError, ProcessLookupError):
            pass
        finally:
            kill_group(process.pid, signal.SIGKILL)
        await process.wait()


def kill_group(pid: int, number: int) -> None:
    """Sends a signal to all processes of a child's session, if it still exists."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def end_leftovers(processes: dict[str, Started]) -> list[str]:
    """Kills what a killed stack left running and returns the names; a reused pid is not touched."""
    ended = []
    for name, process in processes.items():
        if process.alive():
            kill_group(process.pid, signal.SIGKILL)
            ended.append(name)
    for _ in range(100):
        if not any(process.alive() for process in processes.values()):
            break
        time.sleep(0.05)
    return ended
