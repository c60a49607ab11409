"""Writes a file completely or not at all: a full disk leaves what was there before."""

import errno
import os
import tempfile
from pathlib import Path

from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.rules.pydantic_messages import shown


def write_new(path: Path, text: str) -> None:
    """Raises `FileExistsError` for an existing file, `OSError` if it cannot be written."""
    with path.open("x", encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def write_whole(path: Path, text: str) -> None:
    """Replaces a file atomically. Raises `OSError`, and then nothing has changed.

    A device or a pipe is written to directly.
    """
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    target = path.resolve() if path.is_symlink() else path
    number, name = tempfile.mkstemp(prefix=".new.", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), _mode(target))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def write_out(path: Path, text: str) -> None:
    """The file of `--out`. Raises `CommandError`."""
    try:
        write_whole(path, text)
    except OSError as error:
        problem = f"--out = {shown(str(path), 200)}: cannot be written: {error.strerror}"
        usual = "name a file in an existing folder that you may write to"
        remedy = write_remedy(error, usual)
        raise CommandError(ExitCode.INVALID_INPUT, f"{problem} ({remedy})") from error


def write_remedy(error: OSError, otherwise: str) -> str:
    """What to do about a file that could not be written; no other folder helps a full disk."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room on its disk, or choose another one"
    return otherwise


def _mode(target: Path) -> int:
    """The mode that `open` would leave."""
    if target.exists():
        return target.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
