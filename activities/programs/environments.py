"""The Python environments of programs: made from lock files, once on a machine, and then reused."""

import asyncio
import hashlib
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from activities.programs.environment_build import EnvironmentBuild
from activities.programs.exceptions import ProgramError
from durable_agent_team.contracts.error_types import ErrorType

LOCK_FILE: Final = "requirements.lock"
VERSION_FILE: Final = "python"
MAX_LOCK_BYTES: Final = 16 * 1024 * 1024
DIGITS: Final = 32


@dataclass(frozen=True)
class Environment:
    python: str
    """The path of its interpreter."""
    made: bool = False
    """It was made for this caller, and not found."""


@dataclass(frozen=True)
class EnvironmentFiles:
    """What an environment is made from."""

    directory: Path
    lock: Path
    version: str
    """The version of Python that the file asks for; empty for the worker's own."""
    name: str
    """The hash of all that decides what is in it."""

    @classmethod
    def read(cls, directory: Path) -> "EnvironmentFiles":
        """Raises `ProgramError` with what is missing."""
        lock, wanted = directory / LOCK_FILE, directory / VERSION_FILE
        try:
            content = _regular(lock)
            version = _regular(wanted).decode().strip() if wanted.exists() else ""
        except UnicodeDecodeError:
            raise _failed(
                f"{wanted} is not text: write a version of Python, such as 3.12"
            ) from None
        except OSError as error:
            raise _failed(
                f"{error.filename or lock} cannot be read on this worker ({error.strerror}): the"
                f" directory of an `environment` has {LOCK_FILE}, with hashes, such as `pip-compile"
                " --generate-hashes` or `uv pip compile --generate-hashes` write it"
            ) from None
        if version and not all(part.isdigit() for part in version.split(".")):
            raise _failed(f"{wanted} has {version[:40]!r}: write a version of Python, such as 3.12")
        used = version or platform.python_version().rpartition(".")[0]
        about = f"{used} {sys.implementation.cache_tag if not version else ''} {platform.machine()}"
        digest = hashlib.sha256(content + b"\0" + about.encode()).hexdigest()[:DIGITS]
        return cls(directory, lock, version, digest)


class Environments:
    """The environments of this worker's machine, in one directory that workers may share.

    A build keeps running when its activity ends, so that the next attempt need not start over.
    """

    def __init__(self, root: Path, worker: Mapping[str, str]) -> None:
        self._root = root.absolute()
        self._worker = worker
        self._builds: dict[str, tuple[EnvironmentBuild, asyncio.Task[None]]] = {}

    async def made(self, directory: Path) -> Environment:
        """The environment, which is made now if need be. Raises `ProgramError`."""
        files = await asyncio.to_thread(EnvironmentFiles.read, directory)
        if python := self._python(files.name):
            return Environment(python)
        _, task = self._build(files)
        await asyncio.shield(task)
        python = self._python(files.name)
        if python is None:
            raise _failed(f"{self._root / files.name} was removed while it was made")
        return Environment(python, made=True)

    async def found(self, directory: Path, seconds: float) -> str:
        """The path of an interpreter, for a program that starts now.

        Where this worker has no such environment, since another one made it elsewhere, it is made,
        for at most this many seconds; then the program starts in the next attempt, with all of its
        time. Raises `ProgramError`.
        """
        files = await asyncio.to_thread(EnvironmentFiles.read, directory)
        if python := self._python(files.name):
            return python
        _, task = self._build(files)
        await asyncio.wait({task}, timeout=seconds)
        if task.done() and not task.cancelled() and task.exception() is not None:
            await task
        raise ProgramError(
            ErrorType.UPSTREAM_UNAVAILABLE,
            f"this worker did not have the environment {directory} and makes it; the program starts"
            " when it is ready",
        )

    def progress(self, directory: Path) -> str:
        """What is being done for this environment at the moment; empty if nothing is."""
        for build, task in self._builds.values():
            if build.directory == directory and not task.done():
                return build.line
        return ""

    async def close(self) -> None:
        """Ends what is being made."""
        tasks = [task for _, task in self._builds.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _python(self, name: str) -> str | None:
        python = self._root / name / "bin" / "python"
        return str(python) if python.exists() else None

    def _build(self, files: EnvironmentFiles) -> tuple[EnvironmentBuild, asyncio.Task[None]]:
        known = self._builds.get(files.name)
        if known is None or known[1].done():
            build = EnvironmentBuild(
                self._root, files.name, files.directory, files.lock, files.version, self._worker
            )
            task = asyncio.create_task(build.run())
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            known = self._builds[files.name] = (build, task)
        return known


def _regular(path: Path) -> bytes:
    """Raises OSError, also where the path is not a regular file, such as a FIFO."""
    if path.exists() and not path.is_file():
        raise OSError(0, "it is not a file", str(path))
    if path.stat().st_size > MAX_LOCK_BYTES:
        raise OSError(0, "it is larger than 16 MB", str(path))
    return path.read_bytes()


def _failed(text: str) -> ProgramError:
    return ProgramError(ErrorType.ENVIRONMENT_FAILED, text, final=True)
