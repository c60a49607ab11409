"""Environments: made once from a lock file, whole or not at all, without the worker's keys.

Most tests have a small script as `uv`, since a real installation takes seconds; one has pip.
"""

import asyncio
import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest.mock import ANY

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.judging.judge import Judge
from activities.programs.environments import Environments
from activities.programs.exceptions import ProgramError
from activities.programs.run_program import Programs
from activities.programs.scope_account import ScopeAccount
from durable_agent_team.blobs.store import NoBlobs
from durable_agent_team.blobs.texts import Texts
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.program import EnvironmentOrder
from tests.activities.programs.support import content
from tests.activities.support import SEALER, client, context

UV = """#!/bin/sh
echo "$@" >> "$UV_LOG"
env > "$UV_LOG.env"
case "$1" in
venv) for last; do :; done; mkdir -p "$last/bin"; ln -s "$UV_PYTHON_PATH" "$last/bin/python";;
pip) echo "Resolved 1 package"; sleep "${UV_SECONDS:-0}"; exit "${UV_EXIT:-0}";;
esac
"""


class Place:
    """A directory `envs/x` with a lock file, and a worker whose `uv` is the script above."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root, self.log = folder, folder / "made", folder / "log"
        self.directory = folder / "envs" / "x"
        self.directory.mkdir(parents=True)
        self.lock("six==1.17.0 --hash=sha256:00\n")
        (folder / "bin").mkdir()
        script = folder / "bin" / "uv"
        script.write_text(UV)
        script.chmod(0o755)
        self.worker = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "UV_LOG": str(self.log),
            "UV_PYTHON_PATH": sys.executable,
            "ATXP_API_KEY": "parent-key-0123456789",
            "SEALING_KEY": "sealing-key-0123456789",
        }

    def lock(self, text: str) -> None:
        (self.directory / "requirements.lock").write_text(text)

    def environments(self, **changes: str) -> Environments:
        return Environments(self.root, {**self.worker, **changes})

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    @property
    def content(self) -> list[str]:
        """Of the directory of environments, without locks."""
        return sorted(each.name for each in self.root.iterdir() if each.suffix != ".lock")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def refused(environments: Environments, directory: Path) -> ProgramError:
    with pytest.raises(ProgramError) as caught:
        await environments.made(directory)
    assert caught.value.kind is ErrorType.ENVIRONMENT_FAILED
    return caught.value


async def test_it_is_made_once_for_a_lock_file(place: Place) -> None:
    environments = place.environments()
    first = await environments.made(place.directory)
    again = await place.environments().made(place.directory)
    assert (first.made, again.made) == (True, False)
    assert first.python == again.python
    assert await environments.found(place.directory, 5) == first.python
    assert [call.split()[0] for call in place.calls] == ["venv", "pip"]
    assert "--require-hashes" in place.calls[1]
    place.lock("six==1.16.0 --hash=sha256:00\n")
    assert (await environments.made(place.directory)).python != first.python


async def test_an_installer_gets_none_of_the_workers_keys(place: Place) -> None:
    await place.environments(PIP_INDEX_URL="https://x", HTTPS_PROXY="http://p").made(
        place.directory
    )
    given = content(Path(f"{place.log}.env"))
    assert "0123456789" not in given
    assert "PIP_INDEX_URL=https://x" in given
    assert "HTTPS_PROXY=http://p" in given


async def test_many_wait_for_one(place: Place) -> None:
    workers = [place.environments(UV_SECONDS="0.5") for _ in range(3)]
    made = await asyncio.gather(*(each.made(place.directory) for each in workers * 2))
    assert len({each.python for each in made}) == 1
    assert len(place.calls) == 2, "in one worker, and in several"


async def test_a_failure_has_the_last_lines_and_leaves_nothing(place: Place) -> None:
    environments = place.environments(UV_EXIT="1")
    error = await refused(environments, place.directory)
    assert not error.final, "the index may have been down"
    for said in ("Resolved 1 package", "exit code 1", "Try it by hand: ", "--require-hashes -r"):
        assert said in str(error)
    assert place.content == []
    assert (await place.environments().made(place.directory)).made


async def test_one_that_is_cancelled_leaves_nothing(place: Place) -> None:
    environments = place.environments(UV_SECONDS="600")
    making = asyncio.create_task(environments.made(place.directory))
    while environments.progress(place.directory) != "Resolved 1 package":
        await asyncio.sleep(0.02)
    making.cancel()
    await asyncio.sleep(0)
    assert environments.progress(place.directory), "it goes on for the next attempt"
    await environments.close()
    assert place.content == []


async def test_what_a_killed_worker_has_left_is_removed(place: Place) -> None:
    first = await place.environments().made(place.directory)
    name = Path(first.python).parents[1].name
    (place.root / name).unlink()
    (place.root / f"{name}.half" / "bin").mkdir(parents=True)
    assert (await place.environments().made(place.directory)).made
    assert f"{name}.half" not in place.content


async def test_a_program_starts_when_another_workers_environment_is_made_here(
    place: Place,
) -> None:
    environments = place.environments(UV_SECONDS="0.4")
    for seconds in (0.1, 10):
        with pytest.raises(ProgramError, match="starts when it is ready") as caught:
            await environments.found(place.directory, seconds)
        assert caught.value.kind is ErrorType.UPSTREAM_UNAVAILABLE, "waited for, and not counted"
    assert place.content == [Path(await environments.found(place.directory, 5)).parts[-3], ANY]
    assert len(place.calls) == 2


def no_lock(place: Place) -> None:
    (place.directory / "requirements.lock").unlink()


def fifo(place: Place) -> None:
    no_lock(place)
    os.mkfifo(place.directory / "requirements.lock")


def strange_version(place: Place) -> None:
    (place.directory / "python").write_text("three\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (no_lock, "requirements.lock cannot be read on this worker (No such file or directory)"),
        (fifo, "it is not a file"),
        (strange_version, "'three': write a version of Python, such as 3.12"),
    ],
)
async def test_wrong_files_are_named(
    place: Place, change: Callable[[Place], None], said: str
) -> None:
    change(place)
    error = await refused(place.environments(), place.directory)
    assert said in str(error)
    assert error.final


async def test_a_version_of_python_is_the_workers_or_on_its_path(place: Place) -> None:
    (place.directory / "python").write_text("3.99\n")
    await place.environments().made(place.directory)
    assert "--python 3.99" in place.calls[0], "uv gets it"
    without_uv = place.environments(PATH="/nowhere")
    place.lock("other\n")
    error = await refused(without_uv, place.directory)
    assert "needs Python 3.99" in str(error)
    assert "no python3.99 on its PATH: install it there, or install uv" in str(error)


async def test_the_activity_shows_the_installers_last_line(place: Place) -> None:
    beats: list[object] = []

    def environment() -> ActivityEnvironment:
        made = context(timeout=60, heartbeat=0.15)
        made.on_heartbeat = lambda *details: beats.extend(details)
        return made

    order = EnvironmentOrder(agent="crew", environment=str(place.directory))
    async with client() as http:
        account = ScopeAccount(http, "http://127.0.0.1:9/v1", None)

        def programs(changes: Mapping[str, str]) -> Programs:
            environments = place.environments(**changes)
            return Programs(account, SEALER, Judge(), Texts(NoBlobs()), environments, {})

        failing = programs({"UV_EXIT": "1"})
        with pytest.raises(ApplicationError) as caught:
            await environment().run(failing.prepare_environment, order)
        assert caught.value.type == ErrorType.ENVIRONMENT_FAILED.value
        slow = programs({"UV_SECONDS": "0.7"})
        ready = await environment().run(slow.prepare_environment, order)
    assert ready.made
    assert "Resolved 1 package" in beats


def wheel(folder: Path) -> tuple[Path, str]:
    """A package with one module, and its hash."""
    files = {
        "tiny_agents.py": "def answer(task):\n    return 'from ' + task.ask\n",
        "tiny_agents-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny-agents\n"
        "Version: 1.0\n",
        "tiny_agents-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_digest(text)},{len(text)}\n" for name, text in files.items())
    files["tiny_agents-1.0.dist-info/RECORD"] = record + "tiny_agents-1.0.dist-info/RECORD,,\n"
    path = folder / "tiny_agents-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        for name, text in files.items():
            file.writestr(name, text)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(text: str) -> str:
    raw = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


async def test_pip_makes_a_real_one_with_hashes_alone(tmp_path: Path) -> None:
    place = Place(tmp_path)
    path, sha256 = wheel(tmp_path)
    offline = {"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    place.lock(f"tiny-agents==1.0 --hash=sha256:{sha256}\n")
    environments = place.environments(**offline)
    made = await environments.made(place.directory)
    code = "import tiny_agents; print(tiny_agents.__file__)"
    found = await asyncio.to_thread(subprocess.check_output, [made.python, "-I", "-c", code])
    assert Path(found.decode().strip()).is_relative_to(place.root)
    place.lock(f"tiny-agents==1.0 --hash=sha256:{'0' * 64}\n")
    error = await refused(environments, place.directory)
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in str(error)
    assert path.exists()
