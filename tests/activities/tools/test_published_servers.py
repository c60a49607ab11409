"""The published servers, for real, in both versions of the protocol.

Those of PyPI are test dependencies; those of npm are installed below `.data/` where `npx` is.
"""

import asyncio
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from activities.tools.called_tool import CalledTool
from activities.tools.mcp.sessions import McpSessions
from durable_agent_team.contracts.tool_kinds import CommandServer
from durable_agent_team.process.project_root import PROJECT_ROOT

PUBLISHED = Path(__file__).with_name("published")


def python_server(module: str, *arguments: str) -> CommandServer:
    if importlib.util.find_spec(module) is None:
        pytest.skip(
            f"{module} is not installed: `make test` installs requirements/development.lock"
        )
    return CommandServer(command=(sys.executable, "-m", module, *arguments))


@pytest.fixture(scope="session")
def node_servers() -> Path:
    """Where the packages of `published/package-lock.json` are."""
    if shutil.which("npx") is None:
        pytest.skip("npx is not here: servers of npm are not called. Install Node 20 or newer")
    lock = (PUBLISHED / "package-lock.json").read_bytes()
    made = PROJECT_ROOT / f".data/node/{hashlib.sha256(lock).hexdigest()[:16]}"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=made.parent))
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PUBLISHED / name, building)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=building, capture_output=True, text=True, timeout=170)
        if done.returncode:
            shutil.rmtree(building)
            if os.environ.get("CI"):
                pytest.fail(f"npm ci: {done.stderr[-1_000:]}")
            pytest.skip(f"npm could not install the servers: {done.stderr[-300:]}")
        if not made.exists():
            building.rename(made)
    return made / "node_modules/@modelcontextprotocol"


@pytest.fixture
async def opened() -> AsyncIterator[McpSessions]:
    sessions = McpSessions({"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")})
    yield sessions
    await sessions.close()


async def call(
    opened: McpSessions, server: CommandServer, name: str, **arguments: Any
) -> CalledTool:
    async with opened.listed("it", server, fresh=False) as (connection, tools):
        assert name in tools
        return await connection.call(name, arguments, {}, 20)


async def test_time(opened: McpSessions) -> None:
    server = python_server("mcp_server_time")
    found = await call(
        opened,
        server,
        "convert_time",
        source_timezone="Europe/Berlin",
        time="12:00",
        target_timezone="Asia/Tokyo",
    )
    assert not found.is_error
    assert json.loads(found.text)["time_difference"].startswith("+")
    async with opened.connection("it", server) as connection:
        assert not connection.is_legacy
    wrong = await call(opened, server, "get_current_time", timezone="Atlantis/Capital")
    assert wrong.is_error


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    (tmp_path / "a.txt").write_text("a")
    for arguments in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "The first")):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    return tmp_path


async def test_git(opened: McpSessions, repository: Path) -> None:
    server = python_server("mcp_server_git", "--repository", str(repository))
    found = await call(opened, server, "git_log", repo_path=str(repository))
    assert "The first" in found.text
    refused = await call(opened, server, "git_status", repo_path="/")
    assert refused.is_error


async def test_filesystem(opened: McpSessions, node_servers: Path, tmp_path: Path) -> None:
    script = node_servers / "server-filesystem/dist/index.js"
    server = CommandServer(command=("node", str(script), str(tmp_path)))
    (tmp_path / "grün.txt").write_text("Übermut\n" * 40_000)
    found = await call(opened, server, "read_text_file", path=str(tmp_path / "grün.txt"))
    assert found.text == "Übermut\n" * 40_000
    written = await call(opened, server, "write_file", path=str(tmp_path / "b"), content="b")
    assert not written.is_error
    assert (tmp_path / "b").read_text() == "b"
    outside = await call(opened, server, "read_text_file", path="/etc/passwd")
    assert outside.is_error
    assert "root:" not in outside.text
    async with opened.connection("it", server) as connection:
        assert connection.is_legacy


async def test_everything(opened: McpSessions, node_servers: Path) -> None:
    script = node_servers / "server-everything/dist/index.js"
    server = CommandServer(command=("node", str(script), "stdio"))
    sums = await asyncio.gather(
        *(call(opened, server, "get-sum", a=number, b=1) for number in range(10))
    )
    assert [f"is {number + 1}." in each.text for number, each in enumerate(sums)] == [True] * 10
    image = await call(opened, server, "get-tiny-image")
    assert "[image: image/png, " in image.text
    assert len(image.text) < 1_000
    structured = await call(opened, server, "get-structured-content", location="New York")
    assert structured.text.count("temperature") == 1
    links = await call(opened, server, "get-resource-links", count=2)
    assert links.text.count("[resource: ") == 2
    shown = await call(opened, server, "get-env")
    assert set(json.loads(shown.text)) <= {"PATH", "HOME", "LANG"}


async def test_memory(opened: McpSessions, node_servers: Path, tmp_path: Path) -> None:
    script = node_servers / "server-memory/dist/index.js"
    store = tmp_path / "memory.jsonl"
    server = CommandServer(command=("env", f"MEMORY_FILE_PATH={store}", "node", str(script)))
    entity = {"name": "Ada", "entityType": "person", "observations": ["likes trains"]}
    await call(opened, server, "create_entities", entities=[entity])
    found = await call(opened, server, "search_nodes", query="trains")
    assert found.text.count("likes trains") == 1
    assert "Ada" in store.read_text()
