"""What is allowed of the tools of a team, and probably not intended."""

import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.team import Team
from durable_agent_team.contracts.tool_kinds import (
    ApprovalRule,
    BuiltInTool,
    Effects,
    ServerTools,
    Tool,
)
from durable_agent_team.rules.tools.tool_checks import effects_of


def tool_warnings(team: Team) -> Iterator[Problem]:
    """Each with its place in the team file, and what to change."""
    used = {
        tool.server
        for agent in team.agents.values()
        for tool in agent.tools
        if isinstance(tool, ServerTools)
    }
    for name in team.tool_servers:
        if name not in used:
            yield Problem(
                field=f"tool_servers.{name}",
                what="no agent uses this server",
                remedy=f"give {{server: {name}}} to the `tools` of an agent, or leave it out",
            )
    for name, agent in team.agents.items():
        field = f"agents.{name}"
        if not agent.tools and "max_turns" in agent.model_fields_set:
            yield Problem(
                field=f"{field}.max_turns",
                value=str(agent.max_turns),
                what="an agent without tools answers in one turn",
                remedy="leave it out, or give the agent `tools`",
            )
        for index, tool in enumerate(agent.tools):
            place = f"{field}.tools[{index}]"
            yield from _policy_warnings(place, tool)
            yield from _price_warnings(place, tool, agent.budget_usd or team.budget_usd)
            yield from _host_warnings(place, tool)


def _policy_warnings(place: str, tool: Tool) -> Iterator[Problem]:
    given = tool.model_fields_set
    if tool.approve is ApprovalRule.ABOVE_USD and tool.amount is None and tool.price_usd is None:
        yield Problem(
            field=f"{place}.above_usd",
            value=str(tool.above_usd),
            what="nothing says what a call's amount is, so that every call needs approval",
            remedy="name the argument that holds it as `amount`, or give the call a `price_usd`",
        )
    never = tool.approve is ApprovalRule.NEVER or (
        tool.approve is None and effects_of(tool) is Effects.NONE
    )
    for key in ("approval_timeout_seconds", "on_approval_timeout"):
        if never and key in given:
            yield Problem(
                field=f"{place}.{key}",
                value=str(getattr(tool, key)),
                what="no call of this tool waits for approval",
                remedy="leave it out, or write `approve: always`",
            )
    if effects_of(tool) is Effects.ONCE and "max_attempts" in given:
        yield Problem(
            field=f"{place}.max_attempts",
            value=str(tool.max_attempts),
            what="a tool with `effects: once` is not tried again by itself",
            remedy="leave it out, or write `effects: idempotent` if its key makes it so",
        )


def _price_warnings(place: str, tool: Tool, budget: Decimal | None) -> Iterator[Problem]:
    if tool.price_usd is not None and budget is not None and tool.price_usd > budget:
        yield Problem(
            field=f"{place}.price_usd",
            value=str(tool.price_usd),
            what=f"above the limit of {budget} USD: no call can be paid",
            remedy="raise the agent's budget_usd, or correct the price",
        )


def _host_warnings(place: str, tool: Tool) -> Iterator[Problem]:
    for index, host in enumerate(tool.hosts if isinstance(tool, BuiltInTool) else ()):
        if _is_private(host):
            yield Problem(
                field=f"{place}.hosts[{index}]",
                value=host,
                what="fetch never reads from a private address",
                remedy="leave it out; an MCP server or a function of your own can read there",
            )


def _is_private(host: str) -> bool:
    with suppress(ValueError):
        return not ipaddress.ip_address(host).is_global
    return host.lower() == "localhost" or host.lower().endswith(".localhost")
