"""The teams of `teams/frameworks/` in a folder of their own, with what Node needs beside them."""

import asyncio
import shutil
from pathlib import Path

from durable_agent_team.process.project_root import PROJECT_ROOT

TEAMS = PROJECT_ROOT / "teams" / "frameworks"
HOME = PROJECT_ROOT / ".data" / "frameworks"
ENVIRONMENTS = PROJECT_ROOT / ".data" / "environments"
NODE = "mastra"
STAMP = ".installed-from"
INSTALL_SECONDS = 600


class NotInstalled(Exception):
    """A team cannot run here; the message says what it needs."""


def stage() -> Path:
    """Copies the teams, so that nothing is installed into the checkout; returns the folder."""
    folder = HOME / "teams"
    shutil.copytree(
        TEAMS,
        folder,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("node_modules", "__pycache__"),
    )
    return folder


def names() -> list[str]:
    """Of the teams, without `.yaml`."""
    return sorted(file.stem for file in TEAMS.glob("*.yaml"))


async def install_node_packages(folder: Path) -> None:
    """What `package-lock.json` pins, unless it is there. Raises `NotInstalled`."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NotInstalled("it needs Node (20 or newer) and npm on the PATH")
    home = folder / NODE
    wanted = (home / "package-lock.json").read_text(encoding="utf-8")
    stamp = home / "node_modules" / STAMP
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    process = await asyncio.create_subprocess_exec(
        *("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"),
        cwd=home,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await asyncio.wait_for(process.communicate(), INSTALL_SECONDS)
    except TimeoutError:
        process.kill()
        raise NotInstalled(f"npm ci had not ended after {INSTALL_SECONDS} s") from None
    if process.returncode:
        raise NotInstalled(f"npm ci failed: {said.decode(errors='replace')[-500:]}")
    stamp.write_text(wanted, encoding="utf-8")
