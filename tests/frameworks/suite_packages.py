"""Frameworks for the suite: what they need beyond the development environment, and no more.

Pydantic AI, OpenAI Agents and the client of Agent Framework work with the versions in
`requirements/development.lock`, so only what is missing there is installed, once, beside it
(`requirements.lock` here, made by `make lock`).
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from durable_agent_team.process.project_root import PROJECT_ROOT

LOCK = Path(__file__).parent / "requirements.lock"
HOME = PROJECT_ROOT / ".data" / "frameworks"
INSTALL_SECONDS = 150
NO_REGISTRY = (
    "No matching distribution found",
    "Could not fetch URL",
    "ConnectionError",
    "Temporary failure in name resolution",
)


class NoRegistry(Exception):
    """The packages cannot be had here; the message has what pip said."""


def suite_packages() -> Path:
    """The folder for PYTHONPATH; installed first where it is not there. Raises `NoRegistry`."""
    wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = HOME / f"packages-{wanted}"
    if folder.exists():
        return folder
    fresh = folder.with_suffix(".part")
    shutil.rmtree(fresh, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    command += ["--quiet", "--no-deps", "--require-hashes", "-r", str(LOCK), "--target", str(fresh)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise NoRegistry(f"pip had not ended after {INSTALL_SECONDS} s") from None
    if done.returncode:
        said = done.stderr[-1_000:]
        if any(each in done.stderr for each in NO_REGISTRY):
            raise NoRegistry(said)
        raise RuntimeError(said)
    fresh.replace(folder)
    return folder
