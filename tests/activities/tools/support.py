"""Shared by the tests of tools: servers, orders, and a client that records marks."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from temporalio.testing import ActivityEnvironment

from activities.tools.called_tool import CalledTool
from activities.tools.mcp.sessions import McpSessions
from activities.tools.tool_activities import Tools
from durable_agent_team.atxp.exceptions import ProviderRefused
from durable_agent_team.atxp.tool_charges import ToolCharge
from durable_agent_team.blobs.store import BlobStore, NoBlobs
from durable_agent_team.blobs.texts import Texts
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.contracts.tool_box import ToolBox, ToolDefinition, ToolFacts
from durable_agent_team.contracts.tool_call import ListTools, ToolOrder
from durable_agent_team.contracts.tool_kinds import (
    BuiltInTool,
    CommandServer,
    PythonTool,
    ServerTools,
    ToolServer,
)
from tests.activities.support import SEALER, FakeClient, account, context

HOSTILE = Path(__file__).with_name("hostile_server.py")
TOKEN = "tok-4f9a8e7d6c5b4a3f2e1d"


def hostile(**changes: Any) -> CommandServer:
    return CommandServer(command=(sys.executable, "-I", "-S", str(HOSTILE)), **changes)


@asynccontextmanager
async def sessions(
    worker: Mapping[str, str] | None = None, idle_seconds: float = 60
) -> AsyncIterator[McpSessions]:
    opened = McpSessions(worker or {"PATH": "/usr/bin:/bin"}, idle_seconds)
    try:
        yield opened
    finally:
        await opened.close()


class FakeFunctions:
    """Describes and runs nothing but `shop.tools:refund`."""

    def __init__(self) -> None:
        self.description = "Refunds."
        self.called: list[tuple[dict[str, Any], str]] = []
        self.result: CalledTool | Exception = CalledTool("refunded")
        self.seconds = 0.0
        """What it takes to describe one."""

    async def describe(self, tool: PythonTool, *, fresh: bool = True) -> ToolDefinition:
        await asyncio.sleep(self.seconds)
        schema: dict[str, Any] = {"type": "object", "properties": {"order": {}}}
        return ToolDefinition(name="refund", description=self.description, parameters=schema)

    async def call(
        self,
        tool: PythonTool,
        described: ToolDefinition,
        arguments: dict[str, Any],
        key: str,
        timeout_seconds: float,
    ) -> CalledTool:
        self.called.append((arguments, key))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class FakeBuiltIns:
    def definition(self, tool: BuiltInTool, documents: Any) -> ToolDefinition:
        return ToolDefinition(name=tool.built_in, parameters={"type": "object"})

    async def call(
        self,
        tool: BuiltInTool,
        arguments: dict[str, Any],
        documents: Mapping[str, Text],
        timeout_seconds: float,
    ) -> CalledTool:
        return CalledTool(str(arguments))


class FakeCharges:
    """Records what is asked; `refuses` is raised instead."""

    def __init__(self) -> None:
        self.log: list[tuple[str, str]] = []
        self.refuses: dict[str, Exception] = {}
        self.state = "reserved"
        """Of what is reserved: `settled` where the account has paid before."""

    async def read(self, key: SecretStr, charge: str) -> ToolCharge:
        raise ProviderRefused("GET", 404, "")

    async def reserve(
        self,
        key: SecretStr,
        charge: str,
        amount_usd: Decimal,
        what: str,
        revision: int | None = None,
    ) -> ToolCharge:
        self._do(f"reserve {amount_usd} for {what}", charge)
        return ToolCharge(charge, amount_usd, self.state)

    async def settle(self, key: SecretStr, charge: str) -> None:
        self._do("settle", charge)

    async def release(self, key: SecretStr, charge: str, revision: int | None = None) -> ToolCharge:
        self._do("release", charge)
        return ToolCharge(charge, Decimal(0), "released")

    def _do(self, what: str, charge: str) -> None:
        self.log.append((what, charge))
        if error := self.refuses.get(what.split()[0]):
            raise error


class Rooms:
    """The activities over fakes and real servers."""

    def __init__(self, opened: McpSessions, store: BlobStore | None = None) -> None:
        self.functions, self.charges = FakeFunctions(), FakeCharges()
        self.client = FakeClient()
        texts = Texts(store or NoBlobs())
        self.tools = Tools(opened, self.functions, FakeBuiltIns(), self.charges, SEALER, texts)

    async def box(self, wanted: ListTools) -> ToolBox:
        return await self.environment().run(self.tools.list_tools, wanted)

    async def call(self, order: ToolOrder, **about: Any) -> Any:
        return await self.environment(**about).run(self.tools.call_tool, order)

    def environment(self, **about: Any) -> ActivityEnvironment:
        environment = ActivityEnvironment(client=self.client)
        environment.info = context(**about).info
        return environment


def wanted(*tools: Any, servers: dict[str, ToolServer] | None = None) -> ListTools:
    return ListTools(agent="clerk", tools=tools, servers=servers or {})


def order(
    facts: ToolFacts, tool: Any, server: ToolServer | None = None, **changes: Any
) -> ToolOrder:
    values: dict[str, Any] = {
        "agent": "clerk",
        "task": "back-office",
        "key": "conversation:3.1",
        "facts": facts,
        "tool": tool,
        "servers": {tool.server: server} if isinstance(tool, ServerTools) else {},
        "account": account("clerk"),
    }
    return ToolOrder(**{**values, **changes})


def fact(box: ToolBox, name: str) -> ToolFacts:
    return next(each for each in box.tools if each.own_name == name)
