"""The modules of this project that programs and tools import: `durable_agent_team.agents`."""

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from activities.programs.work_directories import WorkDirectories

PACKAGE: Final = "durable_agent_team"


class StagedModules:
    """A directory with `durable_agent_team.agents` and nothing else of the project, so that none of
    its other modules hides one of the program's."""

    def __init__(self, directories: WorkDirectories) -> None:
        self._directories = directories
        self._staged: Path | None = None

    def path(self) -> Path:
        """The directory, made at its first use."""
        own = self._directories.own()
        if self._staged is None or not self._staged.is_relative_to(own):
            package = own / "modules" / PACKAGE
            shutil.copytree(
                _agents(),
                package / "agents",
                ignore=shutil.ignore_patterns("__pycache__"),
                dirs_exist_ok=True,
            )
            (package / "__init__.py").touch()
            self._staged = package.parent
        return self._staged


def _agents() -> Path:
    """The package for programs, in a checkout and in an installed package alike."""
    found = find_spec(PACKAGE)
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(found.submodule_search_locations[0]) / "agents"
