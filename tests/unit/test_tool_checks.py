"""What `validate` and a run say about the tools of a team before anything is opened or called."""

from typing import Any

import pytest

from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Team
from durable_agent_team.contracts.tool_kinds import Effects
from durable_agent_team.rules.tools.tool_checks import effects_of
from durable_agent_team.rules.validation import team_problems, team_warnings

FETCH = {"built_in": "fetch", "hosts": ["docs.example"]}
REFUND = {"python": "shop:refund"}
FILES = {"server": "files"}
SERVERS = {"files": {"command": ["files"]}, "crm": {"url": "https://crm.example"}}


def request(
    tools: list[Any], documents: bool = True, servers: Any = SERVERS, **agent: Any
) -> RunRequest:
    clerk = {"role": "Clerk", "inputs": ["a.md"] if documents else [], "tools": tools, **agent}
    team = {
        "name": "office",
        "goal": "Settle it",
        "budget_usd": 1,
        "final": "handoff",
        "tool_servers": servers,
        "agents": {"clerk": clerk},
        "tasks": [{"id": "settle", "agent": "clerk", "ask": "Settle."}],
    }
    sources = {"a.md": "A text"} if documents else {}
    return RunRequest(team=Team.model_validate(team), sources=sources)


def shown(problems: list[Problem]) -> list[str]:
    return [f"{each.field} = {each.value}: {each.what} ({each.remedy})" for each in problems]


def test_a_sound_team_has_neither_problems_nor_warnings() -> None:
    tools = [
        "calculate",
        "read_document",
        FETCH,
        {**FILES, "only": ["read"], "effects": "none"},
        {**FILES, "leave_out": ["read"], "approve": "always"},
        {"server": "crm", "effects": "idempotent", "max_attempts": 5},
        {**REFUND, "approve": "above_usd", "above_usd": 5, "amount": "usd", "price_usd": "0.1"},
        {"python": "shop:charge", "approve": "above_usd", "above_usd": 5, "price_usd": "0.1"},
        {"python": "shop:look", "effects": "none", "approve": "always"},
    ]
    made = request(tools)
    assert shown(team_problems(made)) == []
    assert shown(team_warnings(made)) == []


@pytest.mark.parametrize(
    ("tools", "changes", "said"),
    [
        (
            [{"server": "fils"}],
            {},
            "agents.clerk.tools[0].server = fils: no such server (did you mean `files`?)",
        ),
        (
            [FILES],
            {"servers": {}},
            "agents.clerk.tools[0].server = files: no such server (describe it: `tool_servers:"
            " {files: {command: [...]}}`, or url)",
        ),
        (
            ["calculate", "calculate"],
            {},
            "agents.clerk.tools = calculate: 2 entries name this tool (keep one of them)",
        ),
        (
            [REFUND, {**REFUND, "approve": "always"}],
            {},
            "agents.clerk.tools = shop:refund: 2 entries name this tool (keep one of them)",
        ),
        (
            [{**FILES, "only": ["a", "b"]}, {**FILES, "only": ["b"]}],
            {},
            "agents.clerk.tools = files.b: 2 entries name this tool (keep one of them)",
        ),
        (
            [FILES, {**FILES, "only": ["a"]}],
            {},
            "agents.clerk.tools[0] = files: tools[1] names tools of this server that are here, too"
            " (add `leave_out: [a]`)",
        ),
        (
            [FILES, FILES],
            {},
            "agents.clerk.tools[0] = files: tools[1] names tools of this server that are here, too"
            " (keep one)",
        ),
        (
            [{**FILES, "only": ["a"], "leave_out": ["a"]}],
            {},
            "agents.clerk.tools[0].leave_out = a: `only` names this too (name it in one of the"
            " two)",
        ),
        (
            ["fetch"],
            {},
            "agents.clerk.tools[0].hosts = : missing: fetch reads from no host that is not named"
            " (write it like {built_in: fetch, hosts: [docs.example.com]})",
        ),
        (
            [{"built_in": "calculate", "hosts": ["docs.example"]}],
            {},
            "agents.clerk.tools[0].hosts = docs.example: only fetch has hosts, and this is"
            " calculate (leave it out)",
        ),
        (
            [{**FETCH, "effects": "once"}],
            {},
            "agents.clerk.tools[0].effects = once: fetch only reads: it has no effects"
            " (leave it out)",
        ),
        (
            [{"built_in": "calculate", "key_argument": "key"}],
            {},
            "agents.clerk.tools[0].key_argument = key: calculate takes no key (leave it out)",
        ),
        (
            ["search_documents"],
            {"documents": False},
            "agents.clerk.tools[0] = search_documents: the team has no documents (name some as"
            " `inputs` of the agent or of a task, or leave the tool out)",
        ),
        (
            ["calculate"],
            {"run": {"command": ["cat"]}},
            "agents.clerk.tools = : an agent with `run` is a program, which has tools of its own"
            " (leave out `tools`, or `run`)",
        ),
        (
            ["calculate"],
            {"max_turns": 1},
            "agents.clerk.max_turns = 1: the last turn has no tools, so that none is ever called"
            " (use 2 or more, or leave out `tools`)",
        ),
        (
            [{**REFUND, "amount": "usd"}],
            {},
            "agents.clerk.tools[0].amount = usd: only `approve: above_usd` compares an amount"
            " (write `approve: above_usd` and `above_usd: 50`, or leave `amount` out)",
        ),
        (
            [
                {
                    **REFUND,
                    "approve": "above_usd",
                    "above_usd": 1,
                    "amount": "key",
                    "key_argument": "key",
                }
            ],
            {},
            "agents.clerk.tools[0].amount = key: `key_argument` is the same argument"
            " (name the argument that holds the amount in USD)",
        ),
        (
            [{**REFUND, "approve": "tainted", "effects": "none"}],
            {},
            "agents.clerk.tools[0].approve = tainted: a tool with `effects: none` changes nothing"
            " that could be approved (leave it out, or write `approve: always` to see every call)",
        ),
    ],
)
def test_a_problem_has_its_place_and_what_to_change(
    tools: list[Any], changes: dict[str, Any], said: str
) -> None:
    assert shown(team_problems(request(tools, **changes))) == [said]


@pytest.mark.parametrize(
    ("tools", "changes", "said"),
    [
        ([REFUND], {"servers": {"crm": SERVERS["crm"]}}, "tool_servers.crm = : no agent uses this"),
        ([], {"servers": {}, "max_turns": 3}, "agents.clerk.max_turns = 3: an agent without tools"),
        (
            [{**REFUND, "approve": "above_usd", "above_usd": 5}],
            {"servers": {}},
            "agents.clerk.tools[0].above_usd = 5: nothing says what a call's amount is",
        ),
        (
            [{**REFUND, "approve": "never", "on_approval_timeout": "approve"}],
            {"servers": {}},
            "agents.clerk.tools[0].on_approval_timeout = approve: no call of this tool waits",
        ),
        (
            [{**FETCH, "approval_timeout_seconds": 5}],
            {"servers": {}},
            "agents.clerk.tools[0].approval_timeout_seconds = 5.0: no call of this tool waits",
        ),
        (
            [{**REFUND, "max_attempts": 5}],
            {"servers": {}},
            "agents.clerk.tools[0].max_attempts = 5: a tool with `effects: once` is not tried",
        ),
        (
            [{**FETCH, "hosts": ["docs.example", "127.0.0.1"]}],
            {"servers": {}},
            "agents.clerk.tools[0].hosts[1] = 127.0.0.1: fetch never reads from a private address",
        ),
        (
            [{**REFUND, "price_usd": 2}],
            {"servers": {}},
            "agents.clerk.tools[0].price_usd = 2: above the limit of 1 USD: no call can be paid",
        ),
    ],
)
def test_what_is_probably_not_intended_is_a_warning(
    tools: list[Any], changes: dict[str, Any], said: str
) -> None:
    made = request(tools, **changes)
    assert not team_problems(made)
    [found] = shown(team_warnings(made))
    assert found.startswith(said)


def test_a_price_that_the_provider_cannot_charge_is_named() -> None:
    """By one rule, for `validate` and for the start of a run."""
    made = request(["calculate", {**REFUND, "price_usd": "0.5"}])
    for charges in (True, None):
        assert not team_problems(made, ModelCatalog(charges=charges, default_model="m"))
    [found] = shown(team_problems(made, ModelCatalog(charges=False, default_model="m")))
    assert found.startswith("agents.clerk.tools[1].price_usd = 0.5: this provider does not charge")


def test_what_is_built_in_has_no_effects_and_everything_else_acts_once() -> None:
    tools = request(["calculate", FILES, REFUND, {**REFUND, "effects": "idempotent"}]).team.agents
    found = [effects_of(tool) for tool in tools["clerk"].tools]
    assert found == [Effects.NONE, Effects.ONCE, Effects.ONCE, Effects.IDEMPOTENT]
