"""Builds an environment in a temporary directory and then moves it into place, in one worker."""

import asyncio
import contextlib
import fcntl
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from activities.programs.exceptions import ProgramError
from activities.programs.supervised_process import Ended, ProgramStart, run_supervised
from activities.programs.supervisor import EXITED
from activities.programs.work_directories import marker_of, remove
from durable_agent_team.contracts.error_types import ErrorType

BUILD_SECONDS: Final = 3_500.0
"""Below the hour that the activity has."""
POLL_SECONDS: Final = 0.3
SHOWN_LINES: Final = 12
MAX_LINE: Final = 200
TO_LOG: Final = 'log=$1; shift; exec "$@" >>"$log" 2>&1'
GIVEN: Final = re.compile(
    r"(?i)PATH|HOME|LANG|LC_.*|PIP_.*|UV_.*|(https?|all|no)_proxy|SSL_CERT_(FILE|DIR)"
    r"|REQUESTS_CA_BUNDLE|LD_LIBRARY_PATH|CC|CXX|C(PP|XX)?FLAGS|LDFLAGS"
)
"""What an installer gets of the worker's environment: packages run code of theirs when they are
built, so that none of the worker's keys is among it."""
_CREDENTIALS: Final = re.compile(r"://[^/\s@]+@")


class EnvironmentBuild:
    """`line` is the last line that the installer has written."""

    def __init__(
        self,
        root: Path,
        name: str,
        directory: Path,
        lock: Path,
        version: str,
        worker: Mapping[str, str],
    ) -> None:
        self.directory = directory
        self.line = ""
        self._root, self._name = root, name
        self._lock_file, self._version = lock, version
        self._worker = worker

    async def run(self) -> None:
        """Makes the environment, unless another worker has. Raises `ProgramError`."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            async with self._alone():
                place = self._root / self._name
                if (place / "bin" / "python").exists():
                    return
                self._remove_leftovers()
                await self._make(place)
        except OSError as error:
            raise self._failed(
                f"{error.filename or self._root}: {error.strerror}: set PROGRAM_ENVIRONMENTS to a"
                " directory that the worker can write to, with room for packages"
            ) from None

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Holds the lock of this environment, which the end of its holder releases."""
        lock = os.open(self._root / f"{self._name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self.line = "waiting for another worker, which makes it"
                    await asyncio.sleep(POLL_SECONDS)
            yield
        finally:
            os.close(lock)

    def _remove_leftovers(self) -> None:
        for each in self._root.glob(f"{self._name}.*"):
            if each.is_dir():
                remove(each)

    async def _make(self, place: Path) -> None:
        """In a directory of its own, which is its last place: an environment has its path in its
        scripts. A link in `place` then makes it visible at once."""
        folder = Path(tempfile.mkdtemp(prefix=f"{self._name}.", dir=self._root))
        built = False
        try:
            commands = self._commands(folder)
            for command in commands:
                await self._run(command, folder)
            shutil.rmtree(folder / "tmp", ignore_errors=True)
            link = folder.with_name(f"{folder.name}.link")
            link.symlink_to(folder.name, target_is_directory=True)
            link.replace(place)
            built = True
        finally:
            if not built:
                await asyncio.shield(asyncio.to_thread(remove, folder))

    def _commands(self, folder: Path) -> list[list[str]]:
        lock, python = str(self._lock_file), str(folder / "bin" / "python")
        uv = shutil.which("uv", path=self._worker.get("PATH", ""))
        if uv is not None:
            version = ["--python", self._version or sys.executable]
            return [
                [uv, "venv", "--no-project", "--allow-existing", *version, str(folder)],
                [uv, "pip", "install", "--python", python, "--require-hashes", "-r", lock],
            ]
        install = ["install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
        install += ["--require-hashes", "-r", lock]
        if find_spec("pip") is None:
            venv = [self._interpreter(), "-m", "venv", str(folder)]
            return [venv, [python, "-m", "pip", *install]]
        # The worker's pip installs into it, which saves the many seconds of installing pip there.
        venv = [self._interpreter(), "-m", "venv", "--without-pip", str(folder)]
        return [venv, [sys.executable, "-m", "pip", "--python", python, *install]]

    def _interpreter(self) -> str:
        """The worker's Python where it has the version, or `python3.12` from its PATH."""
        parts = self._version.split(".") if self._version else []
        own = [str(number) for number in sys.version_info[:3]]
        if own[: len(parts)] == parts:
            return sys.executable
        name = f"python{'.'.join(parts[:2])}"
        found = shutil.which(name, path=self._worker.get("PATH", ""))
        if found is None:
            raise self._failed(
                f"it needs Python {self._version}, and this worker has {'.'.join(own)} and no"
                f" {name} on its PATH: install it there, or install uv, which gets it"
            )
        return found

    async def _run(self, command: list[str], folder: Path) -> None:
        """One step, its output in a log whose last line is shown meanwhile."""
        home, log = folder / "tmp", folder / "build.log"
        home.mkdir(exist_ok=True)
        log.touch()
        given = {name: each for name, each in self._worker.items() if GIVEN.fullmatch(name)}
        start = ProgramStart(
            command=("sh", "-c", TO_LOG, "sh", str(log), *command),
            directory=str(home),
            environment={**given, "TMPDIR": str(home)},
            stdin=b"",
            seconds=BUILD_SECONDS,
            marker=marker_of(home),
        )
        step = asyncio.create_task(run_supervised(start))
        try:
            while not step.done():
                await asyncio.wait({step}, timeout=POLL_SECONDS)
                self.line = next(iter(reversed(_last_lines(log, 1))), self.line)
        finally:
            if not step.done():
                step.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await step
        ended = step.result()
        if ended.why != EXITED or ended.code != 0:
            raise self._step_failed(command, ended, log)

    def _step_failed(self, command: list[str], ended: Ended, log: Path) -> ProgramError:
        how = ended.reason or (f"exit code {ended.code}" if ended.why == EXITED else ended.why)
        said = "\n".join(_last_lines(log, SHOWN_LINES))
        by_hand = (
            f"{shlex.quote(self._interpreter_to_try())} -m venv /tmp/try && /tmp/try/bin/python -m"
            f" pip install --require-hashes -r {shlex.quote(str(self._lock_file))}"
        )
        step = " ".join(Path(word).name if word == command[0] else word for word in command[:3])
        return self._failed(f"`{step}` failed ({how}):\n{said}\nTry it by hand: {by_hand}")

    def _interpreter_to_try(self) -> str:
        parts = self._version.split(".")[:2] if self._version else []
        return f"python{'.'.join(parts)}" if parts else sys.executable

    def _failed(self, text: str) -> ProgramError:
        return ProgramError(
            ErrorType.ENVIRONMENT_FAILED, f"the environment {self.directory} cannot be made: {text}"
        )


def _last_lines(log: Path, count: int) -> list[str]:
    """Without the credentials that addresses of package indexes may have."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - SHOWN_LINES * 1_000))
        text = file.read().decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [_CREDENTIALS.sub("://[key]@", line)[:MAX_LINE] for line in lines[-count:]]
