"""Notices that a module's file has changed since it was imported.

Standard library only, Python 3.10 or newer.
"""

import os
import sys


class ModuleWatch:
    """Watches modules whose files are below a directory; others are packages of the environment."""

    def __init__(self, directory: str) -> None:
        self._below = os.path.join(os.path.realpath(directory), "") if directory else ""
        self._times: dict[str, int] = {}
        self._modules = 0

    def look(self) -> None:
        """Remembers the files of what has been imported since the last look."""
        if not self._below or len(sys.modules) == self._modules:
            return
        self._modules = len(sys.modules)
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if not isinstance(file, str) or file in self._times:
                continue
            if os.path.realpath(file).startswith(self._below) and (time := _time(file)):
                self._times[file] = time

    def has_changed(self) -> bool:
        return any(_time(file) != time for file, time in self._times.items())


def _time(file: str) -> int:
    try:
        return os.stat(file).st_mtime_ns
    except OSError:
        return 0
