"""Each peer's own Python: made once below `.data/peers/`, from its pinned requirements."""

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

from durable_agent_team.process.project_root import PROJECT_ROOT

HOME = PROJECT_ROOT / ".data" / "peers"
REQUIREMENTS = Path(__file__).parent / "requirements"
INSTALL_SECONDS = 600
STAMP = ".installed"


class NotInstalled(Exception):
    """A peer could not be installed; the message has the end of the installer's output."""


def requirements(name: str) -> Path:
    return REQUIREMENTS / f"{name}.txt"


def python_of(name: str, home: Path = HOME) -> Path:
    """The peer's interpreter; installed first where its requirements are new. `NotInstalled`."""
    wanted = hashlib.sha256(requirements(name).read_bytes() + sys.version.encode()).hexdigest()
    folder = home / name
    python = folder / "bin" / "python"
    stamp = folder / STAMP
    if stamp.exists() and stamp.read_text() == wanted and python.exists():
        return python
    print(f"installing {name} into {folder}", file=sys.stderr, flush=True)
    venv.create(folder, clear=True, with_pip=True)
    install(python, requirements(name))
    stamp.write_text(wanted)
    return python


def install(python: Path, file: Path) -> None:
    """Pinned, and with hashes."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    command += ["--quiet", "--require-hashes", "-r", str(file)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"{file.name}: not installed after {INSTALL_SECONDS} s") from error
    if done.returncode:
        raise NotInstalled(f"{file.name} could not be installed:\n{done.stderr[-2000:]}")
