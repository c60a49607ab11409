"""Makes the order of one call, with all that its activity needs."""

from collections.abc import Mapping
from typing import Any

from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.contracts.tool_call import ToolOrder
from durable_agent_team.contracts.tool_kinds import (
    READ_DOCUMENTS,
    BuiltInTool,
    ServerTools,
    Tool,
)
from durable_agent_team.rules.tools.approval_rules import parsed_arguments
from workflows.state.progress import Progress
from workflows.tools.one_call import OneCall


def connect_seconds(progress: Progress, tool: Tool) -> float:
    if not isinstance(tool, ServerTools):
        return 0
    return progress.team.tool_servers[tool.server].connect_seconds


def order_of(progress: Progress, one: OneCall) -> ToolOrder:
    """Fields without a value are left out: Temporal's history keeps every order."""
    work, tool, state = one.work, one.tool, one.state
    more: dict[str, Any] = {} if state.edited is None else {"edited": True}
    if state.again:
        more["again"] = True
    if isinstance(tool, ServerTools):
        more["servers"] = {tool.server: progress.team.tool_servers[tool.server]}
        if tool.server in work.sessions:
            more["session"] = work.sessions[tool.server]
    if isinstance(tool, BuiltInTool) and tool.built_in in READ_DOCUMENTS:
        more["documents"] = _documents(progress.sources, one.arguments)
    said = progress.conversations.get(work.task)
    if said is not None and said.id == work.conversation and said.span and said.span.trace:
        more["trace"] = said.span.trace
    if tool.price_usd is not None:
        more["account"] = progress.account_refs[work.agent]
    return ToolOrder(
        agent=work.agent,
        task=work.task,
        key=one.key,
        facts=one.facts,
        tool=tool,
        arguments=one.arguments,
        **more,
    )


def _documents(documents: Mapping[str, Text], arguments: str) -> dict[str, Text]:
    """The documents that the arguments name, or all of them."""
    given = (parsed_arguments(arguments) or {}).values()
    named = {each for each in given if isinstance(each, str) and each in documents}
    return {name: documents[name] for name in documents if not named or name in named}
