"""Reads a regular file. A pipe or a device could be waited for without end, so it is refused."""

import errno
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_KINDS: Final[Mapping[str, Callable[[int], bool]]] = MappingProxyType(
    {
        "pipe": stat.S_ISFIFO,
        "device": stat.S_ISCHR,
        "disk": stat.S_ISBLK,
        "socket": stat.S_ISSOCK,
    }
)


class NotAFile(Exception):
    """The argument is what it is instead, such as `pipe`."""


def read_regular(file: Path, most: int) -> bytes:
    """Returns `most` bytes of a file at most. Raises `NotAFile` and OSError, and never waits."""
    _check(os.stat(file))  # opening a device can already have an effect
    descriptor = os.open(file, _FLAGS)
    with open(descriptor, "rb") as source:
        _check(os.fstat(descriptor))  # another file may have this name by now
        return source.read(most)


def _check(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    for kind, is_kind in _KINDS.items():
        if is_kind(found.st_mode):
            raise NotAFile(kind)
