"""Functions for tests in modules of their own, and what calls them without a workflow."""

import os
import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from activities.programs.work_directories import WorkDirectories
from activities.tools.called_tool import CalledTool
from activities.tools.functions.python_tools import PythonTools
from durable_agent_team.contracts.tool_kinds import PythonTool

SECRET = "shop-token-0123456789"
WORKER = {"PATH": os.environ["PATH"], "SHOP": SECRET, "ATXP_API_KEY": "parent-key-0123456789"}


class Shop:
    """A team's module `shop`, and its functions as tools."""

    def __init__(self, folder: Path, worker: Mapping[str, str] = WORKER) -> None:
        self.folder = folder
        self.directories = WorkDirectories(folder / "work")
        self.tools = PythonTools(self.directories, worker)
        self._written = 0

    def write(self, code: str) -> None:
        """The module's code; each version has a time of its own, as files of an editor have."""
        self._written += 1
        (self.folder / "code").mkdir(exist_ok=True)
        file = self.folder / "code" / "shop.py"
        file.write_text(textwrap.dedent(code))
        os.utime(file, (self._written, self._written))

    def tool(self, function: str, **changes: Any) -> PythonTool:
        directory = str(self.folder / "code")
        return PythonTool(**{"python": f"shop:{function}", "directory": directory, **changes})

    async def call(
        self,
        function: str,
        arguments: dict[str, Any] | None = None,
        seconds: float = 30,
        **changes: Any,
    ) -> CalledTool:
        tool = self.tool(function, **changes)
        described = await self.tools.describe(tool)
        return await self.tools.call(tool, described, arguments or {}, "conversation:3.1", seconds)


@asynccontextmanager
async def shop_in(
    folder: Path, code: str, worker: Mapping[str, str] = WORKER
) -> AsyncIterator[Shop]:
    shop = Shop(folder, worker)
    shop.write(code)
    try:
        yield shop
    finally:
        await shop.tools.close()
        shop.directories.close()
