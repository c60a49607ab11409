"""What can be wrong with the tools of a team before a run."""

from collections import Counter
from collections.abc import Iterator, Sequence

from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Agent, Team
from durable_agent_team.contracts.tool_kinds import (
    READ_DOCUMENTS,
    ApprovalRule,
    BuiltInTool,
    Effects,
    PythonTool,
    ServerTools,
    Tool,
)
from durable_agent_team.rules.nearest_names import Remedies

NO_SERVER = "no such server"
NO_HOSTS = "missing: fetch reads from no host that is not named"
NO_DOCUMENTS = "the team has no documents"


def tool_problems(request: RunRequest) -> Iterator[Problem]:
    """Each with its place in the team file, and what to change."""
    team = request.team
    remedies = Remedies()
    for name, agent in team.agents.items():
        if not agent.tools:
            continue
        field = f"agents.{name}"
        yield from _agent_problems(field, agent)
        for index, tool in enumerate(agent.tools):
            place = f"{field}.tools[{index}]"
            match tool:
                case BuiltInTool():
                    yield from _built_in_problems(place, tool)
                case ServerTools():
                    yield from _server_problems(place, tool, team, remedies)
            yield from _policy_problems(place, tool)
        yield from _duplicates(field, agent.tools)
        if not request.texts:
            yield from _no_documents(field, agent.tools)


def uncharged_prices(team: Team, catalog: ModelCatalog) -> Iterator[Problem]:
    """Prices that the provider of the accounts cannot charge."""
    if catalog.charges is not False:
        return
    for name, agent in team.agents.items():
        for index, tool in enumerate(agent.tools):
            if tool.price_usd is not None:
                yield Problem(
                    field=f"agents.{name}.tools[{index}].price_usd",
                    value=str(tool.price_usd),
                    what="this provider does not charge accounts for calls of tools",
                    remedy="leave it out, or put the gateway in front of the provider",
                )


def effects_of(tool: Tool) -> Effects:
    """What the team file says of a tool's effects, or its default. A trusted server may say
    otherwise of its own."""
    if tool.effects is not None:
        return tool.effects
    return Effects.NONE if isinstance(tool, BuiltInTool) else Effects.ONCE


def tool_name(tool: Tool) -> str:
    """What an entry names, for people."""
    match tool:
        case BuiltInTool():
            return tool.built_in
        case ServerTools():
            return tool.server
        case PythonTool():
            return tool.python


def _agent_problems(field: str, agent: Agent) -> Iterator[Problem]:
    if agent.run is not None:
        yield Problem(
            field=f"{field}.tools",
            what="an agent with `run` is a program, which has tools of its own",
            remedy="leave out `tools`, or `run`",
        )
    elif agent.max_turns == 1:
        yield Problem(
            field=f"{field}.max_turns",
            value="1",
            what="the last turn has no tools, so that none is ever called",
            remedy="use 2 or more, or leave out `tools`",
        )


def _built_in_problems(place: str, tool: BuiltInTool) -> Iterator[Problem]:
    if tool.built_in == "fetch" and not tool.hosts:
        yield Problem(
            field=f"{place}.hosts",
            what=NO_HOSTS,
            remedy="write it like {built_in: fetch, hosts: [docs.example.com]}",
        )
    if tool.built_in != "fetch" and tool.hosts:
        yield Problem(
            field=f"{place}.hosts",
            value=", ".join(tool.hosts)[:200],
            what=f"only fetch has hosts, and this is {tool.built_in}",
            remedy="leave it out",
        )
    if effects_of(tool) is not Effects.NONE:
        yield Problem(
            field=f"{place}.effects",
            value=effects_of(tool).value,
            what=f"{tool.built_in} only reads: it has no effects",
            remedy="leave it out",
        )
    if tool.key_argument is not None:
        yield Problem(
            field=f"{place}.key_argument",
            value=tool.key_argument,
            what=f"{tool.built_in} takes no key",
            remedy="leave it out",
        )


def _server_problems(
    place: str, tool: ServerTools, team: Team, remedies: Remedies
) -> Iterator[Problem]:
    if tool.server not in team.tool_servers:
        remedy = remedies.choice(tool.server, team.tool_servers)
        if not team.tool_servers:
            remedy = f"describe it: `tool_servers: {{{tool.server}: {{command: [...]}}}}`, or url"
        yield Problem(field=f"{place}.server", value=tool.server, what=NO_SERVER, remedy=remedy)
    both = [name for name in tool.only if name in tool.leave_out]
    if both:
        yield Problem(
            field=f"{place}.leave_out",
            value=", ".join(both)[:200],
            what="`only` names this too",
            remedy="name it in one of the two",
        )


def _policy_problems(place: str, tool: Tool) -> Iterator[Problem]:
    if tool.amount is not None and tool.approve is not ApprovalRule.ABOVE_USD:
        yield Problem(
            field=f"{place}.amount",
            value=tool.amount,
            what="only `approve: above_usd` compares an amount",
            remedy="write `approve: above_usd` and `above_usd: 50`, or leave `amount` out",
        )
    if tool.amount is not None and tool.amount == tool.key_argument:
        yield Problem(
            field=f"{place}.amount",
            value=tool.amount,
            what="`key_argument` is the same argument",
            remedy="name the argument that holds the amount in USD",
        )
    if tool.approve is ApprovalRule.TAINTED and tool.effects is Effects.NONE:
        yield Problem(
            field=f"{place}.approve",
            value="tainted",
            what="a tool with `effects: none` changes nothing that could be approved",
            remedy="leave it out, or write `approve: always` to see every call",
        )


def _duplicates(field: str, tools: Sequence[Tool]) -> Iterator[Problem]:
    """Tools that two entries of an agent name."""
    counts = Counter(name for index, tool in enumerate(tools) for name in _named(tool))
    for name, count in counts.items():
        if count > 1:
            yield Problem(
                field=f"{field}.tools",
                value=name,
                what=f"{count} entries name this tool",
                remedy="keep one of them",
            )
    yield from _overlaps(field, tools)


def _named(tool: Tool) -> Sequence[str]:
    if isinstance(tool, ServerTools):
        return [f"{tool.server}.{each}" for each in dict.fromkeys(tool.only)]
    return [tool_name(tool)]


def _overlaps(field: str, tools: Sequence[Tool]) -> Iterator[Problem]:
    """Entries for all tools of a server that another entry names as well."""
    for index, tool in enumerate(tools):
        if not isinstance(tool, ServerTools) or tool.only:
            continue
        others = [
            (number, each)
            for number, each in enumerate(tools)
            if number != index and isinstance(each, ServerTools) and each.server == tool.server
        ]
        for number, other in others:
            left = [each for each in other.only if each not in tool.leave_out]
            if (other.only and left) or (not other.only and number > index):
                yield Problem(
                    field=f"{field}.tools[{index}]",
                    value=tool.server,
                    what=f"tools[{number}] names tools of this server that are here, too",
                    remedy=f"add `leave_out: [{', '.join(left)[:200]}]`" if left else "keep one",
                )


def _no_documents(field: str, tools: Sequence[Tool]) -> Iterator[Problem]:
    for index, tool in enumerate(tools):
        if isinstance(tool, BuiltInTool) and tool.built_in in READ_DOCUMENTS:
            yield Problem(
                field=f"{field}.tools[{index}]",
                value=tool.built_in,
                what=NO_DOCUMENTS,
                remedy="name some as `inputs` of the agent or of a task, or leave the tool out",
            )
