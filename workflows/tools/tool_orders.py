"""Makes the order of one call, with all that its activity needs."""

from typing import Any

from durable_agent_team.contracts.team import Agent
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.contracts.tool_box import ToolFacts
from durable_agent_team.contracts.tool_call import ToolOrder
from durable_agent_team.contracts.tool_kinds import BuiltInTool, ServerTools, Tool
from durable_agent_team.rules.tools.approval_rules import parsed_arguments
from workflows.state.progress import Progress
from workflows.state.tool_work import ToolWork, key_of

READ_DOCUMENTS = frozenset({"read_document", "search_documents"})


def tool_of(agent: Agent, facts: ToolFacts) -> Tool:
    return agent.tools[facts.entry]


def connect_seconds(progress: Progress, tool: Tool) -> float:
    if not isinstance(tool, ServerTools):
        return 0
    return progress.team.tool_servers[tool.server].connect_seconds


def order_of(
    progress: Progress,
    work: ToolWork,
    number: str,
    facts: ToolFacts,
    tool: Tool,
    arguments: str,
    *,
    edited: bool = False,
    again: bool = False,
) -> ToolOrder:
    """What is unset stays out of it: the history has every order."""
    more: dict[str, Any] = {"edited": True} if edited else {}
    if again:
        more["again"] = True
    if isinstance(tool, ServerTools):
        more["servers"] = {tool.server: progress.team.tool_servers[tool.server]}
        if tool.server in work.sessions:
            more["session"] = work.sessions[tool.server]
    if isinstance(tool, BuiltInTool) and tool.built_in in READ_DOCUMENTS:
        more["documents"] = _documents(progress.sources, arguments)
    said = progress.conversations.get(work.task)
    if said is not None and said.id == work.conversation and said.span and said.span.trace:
        more["trace"] = said.span.trace
    if tool.price_usd is not None:
        more["account"] = progress.account_refs[work.agent]
    return ToolOrder(
        agent=work.agent,
        task=work.task,
        key=key_of(work.conversation, number),
        facts=facts,
        tool=tool,
        arguments=arguments,
        **more,
    )


def _documents(documents: dict[str, Text], arguments: str) -> dict[str, Text]:
    """The one that the arguments name, or all of them."""
    given = (parsed_arguments(arguments) or {}).values()
    named = {each for each in given if isinstance(each, str) and each in documents}
    return {name: documents[name] for name in documents if not named or name in named}
