"""The teams of a storm: several shapes, each with the outcomes that it allows."""

import json
import sys
from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any, Final

from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Team
from durable_agent_team.process.project_root import PROJECT_ROOT
from tests.chaos.schedule import SHORT_TIMEOUT, UPSTREAM_TIMEOUT, PlannedRun

DEAR, CHEAP = "dear", "cheap"
PRICES: Final = {
    DEAR: {"input_usd_per_million": "1", "output_usd_per_million": "4"},
    CHEAP: {"input_usd_per_million": "0.1", "output_usd_per_million": "0.4"},
}
COMPLETES = frozenset({"completed"})
MAX_TOKENS = 120
ENOUGH = "0.05"
PLENTY = "5"
TIGHT = "0.0015"
"""One call's bound fits, two at once or three in a row do not."""

AGENT: Final[dict[str, Any]] = {
    "model": DEAR,
    "max_tokens": MAX_TOKENS,
    "timeout_seconds": UPSTREAM_TIMEOUT,
    "retry": {"max_attempts": 20, "initial_seconds": 0.1, "backoff": 1.5, "max_seconds": 2},
    "breaker_failures": 3,
}
FOLDER = "FOLDER-OF-EFFECTS"
HTTP_SERVER = "http://address.of.the.http.server"
PIDS = "servers"
"""Where in the folder of effects the servers on standard input and output leave their ids."""
EFFECTS_OF: Final = {"charge": "once", "note": "idempotent", "look": "none"}
"""The tools of `tests.chaos.tools`."""

Shape = Callable[[Random, str], tuple[dict[str, Any], frozenset[str]]]


def marker(run: str, task: str) -> str:
    """Part of a task's ask, so that the upstream recognizes the task."""
    return f"[[{run}.{task}]]"


def make_request(
    planned: PlannedRun, run: str, folder: str = "/tmp", server: str = "http://127.0.0.1:9"
) -> tuple[RunRequest, frozenset[str]]:
    """The start input, and the outcomes that its team allows. Tools count their effects in
    `folder`; `server` is the address of the server of tools by HTTP."""
    body, expected = SHAPE_MAKERS[planned.shape](Random(planned.seed), run)
    team = {
        "name": f"chaos-{planned.shape}",
        "goal": f"Bring the storm to an end. {marker(run, 'final')}",
        "orchestrator": _agent(ENOUGH),
        "max_repairs": 6,
        **body,
    }
    text = json.dumps(team).replace(FOLDER, folder).replace(HTTP_SERVER, server)
    counted = json.loads(text)
    return RunRequest(team=Team.model_validate(counted)), expected


def _agent(budget: str, **more: Any) -> dict[str, Any]:
    return {**AGENT, "budget_usd": budget, **more}


def _specialist(budget: str, **more: Any) -> dict[str, Any]:
    return {"role": "Specialist", **_agent(budget, **more)}


def _task(run: str, name: str, agent: str, *depends_on: str, **more: Any) -> dict[str, Any]:
    ask = f"Say what you know. {marker(run, name)}"
    return {"id": name, "agent": agent, "ask": ask, "depends_on": list(depends_on), **more}


def _fan(random: Random, run: str) -> tuple[dict[str, Any], frozenset[str]]:
    names = [f"t{number}" for number in range(random.randint(4, 8))]
    tasks = [_task(run, name, random.choice("ab")) for name in names]
    tasks.append(_task(run, "join", "b", *names))
    agents = {"a": _specialist(ENOUGH), "b": _specialist(ENOUGH)}
    return {"agents": agents, "tasks": tasks, "result": "join"}, COMPLETES


def _chain(random: Random, run: str) -> tuple[dict[str, Any], frozenset[str]]:
    names = [f"t{number}" for number in range(random.randint(4, 7))]
    tasks = [_task(run, names[0], "a")]
    tasks += [_task(run, name, random.choice("ab"), before) for before, name in pairwise(names)]
    agents = {"a": _specialist(ENOUGH), "b": _specialist(ENOUGH)}
    return {"agents": agents, "tasks": tasks, "final": "handoff"}, COMPLETES


def _repairs(random: Random, run: str) -> tuple[dict[str, Any], frozenset[str]]:
    checks = {"min_length": 20}
    tasks = [_task(run, f"t{number}", "a", checks=checks) for number in range(3)]
    tasks.append(_task(run, "join", "b", "t0", "t1", "t2", checks=checks))
    agents = {"a": _specialist(ENOUGH), "b": _specialist(ENOUGH)}
    return {"agents": agents, "tasks": tasks, "result": "join", "max_parallel": 2}, COMPLETES


def _tiny(random: Random, run: str) -> tuple[dict[str, Any], frozenset[str]]:
    tasks = [_task(run, f"t{number}", "poor") for number in range(random.randint(3, 5))]
    tasks.append(_task(run, "join", "rich", *(task["id"] for task in tasks)))
    agents = {"poor": _specialist(TIGHT), "rich": _specialist(ENOUGH)}
    return {"agents": agents, "tasks": tasks, "result": "join"}, COMPLETES


def _skip(random: Random, run: str) -> tuple[dict[str, Any], frozenset[str]]:
    tasks = [_task(run, f"t{number}", "poor") for number in range(4)]
    names = [task["id"] for task in tasks]
    tasks.append(_task(run, "join", "rich", *names, missing_inputs="accept"))
    agents = {"poor": _specialist(TIGHT, on_exhausted="skip"), "rich": _specialist(ENOUGH)}
    return {"agents": agents, "tasks": tasks, "result": "join"}, COMPLETES


def _fallback(random: Random, run: str) -> tuple[dict[str, Any], frozenset[str]]:
    tasks = [_task(run, f"t{number}", "poor") for number in range(4)]
    tasks.append(_task(run, "join", "rich", *(task["id"] for task in tasks)))
    poor = _specialist(TIGHT, on_exhausted="fallback", fallback_model=CHEAP)
    return {
        "agents": {"poor": poor, "rich": _specialist(ENOUGH)},
        "tasks": tasks,
        "result": "join",
    }, COMPLETES


def _shrink(random: Random, run: str) -> tuple[dict[str, Any], frozenset[str]]:
    tasks = [_task(run, f"t{number}", "poor") for number in range(4)]
    agents = {"poor": _specialist(TIGHT, min_tokens=30), "rich": _specialist(ENOUGH)}
    tasks.append(_task(run, "join", "rich", *(task["id"] for task in tasks)))
    return {"agents": agents, "tasks": tasks, "result": "join"}, COMPLETES


def _fail(random: Random, run: str) -> tuple[dict[str, Any], frozenset[str]]:
    tasks = [_task(run, f"t{number}", "poor") for number in range(6)]
    tasks.append(_task(run, "join", "rich", *(task["id"] for task in tasks)))
    agents = {"poor": _specialist(TIGHT, on_exhausted="fail"), "rich": _specialist(ENOUGH)}
    cancels = random.choice(("cancel_rest", "finish_rest"))
    return {
        "agents": agents,
        "tasks": tasks,
        "result": "join",
        "on_task_failure": cancels,
    }, frozenset({"failed", "completed"})


def _approval(random: Random, run: str) -> tuple[dict[str, Any], frozenset[str]]:
    body, expected = _fan(random, run)
    return {**body, "approve_plan": True}, expected


def _long(random: Random, run: str) -> tuple[dict[str, Any], frozenset[str]]:
    """Layers that each read the layer before; the run continues as new several times."""
    tasks: list[dict[str, Any]] = []
    before: list[str] = []
    for layer in range(random.randint(5, 7)):
        names = [f"l{layer}t{number}" for number in range(4)]
        tasks += [_task(run, name, random.choice("ab"), *before) for name in names]
        before = names
    tasks.append(_task(run, "join", "b", *before))
    agents = {"a": _specialist(PLENTY), "b": _specialist(PLENTY)}
    return {"agents": agents, "tasks": tasks, "result": "join"}, COMPLETES


def _heavy(random: Random, run: str) -> tuple[dict[str, Any], frozenset[str]]:
    """Hand-offs of 60 KB, which travel as references."""
    names = [f"heavy{number}" for number in range(random.randint(3, 5))]
    tasks = [_task(run, name, "a") for name in names]
    tasks.append(_task(run, "join", "b", *names))
    agents = {"a": _specialist(PLENTY), "b": _specialist(PLENTY)}
    return {"agents": agents, "tasks": tasks, "final": "handoff"}, COMPLETES


def _wide(random: Random, run: str) -> tuple[dict[str, Any], frozenset[str]]:
    """Two layers of many tasks at once, the first with large answers: the run continues as new
    while many calls are in flight."""
    width = random.randint(10, 14)
    large = [f"heavy{number}" for number in range(width)]
    names = [f"t{number}" for number in range(width)]
    tasks = [_task(run, name, "a") for name in large]
    tasks += [_task(run, name, "b", *random.sample(large, 2)) for name in names]
    tasks.append(_task(run, "join", "b", *names))
    agents = {"a": _specialist(PLENTY), "b": _specialist(PLENTY)}
    return {"agents": agents, "tasks": tasks, "result": "join"}, COMPLETES


def _late(random: Random, run: str) -> tuple[dict[str, Any], frozenset[str]]:
    """Calls that are slower than an attempt, the gateway's limit, or its lease."""
    names = [f"late{number}" for number in range(random.randint(3, 5))]
    tasks = [_task(run, name, random.choice("ab")) for name in names]
    tasks.append(_task(run, "join", "b", *names))
    impatient = {"timeout_seconds": SHORT_TIMEOUT}
    agents = {"a": _specialist(PLENTY, **impatient), "b": _specialist(PLENTY)}
    return {"agents": agents, "tasks": tasks, "result": "join"}, COMPLETES


def _tools(random: Random, run: str) -> tuple[dict[str, Any], frozenset[str]]:
    """Turns with a tool of each kind of effects. No person is asked, except where one of them has
    to approve, or nobody knows whether a call has had its effect."""
    tasks = _turns(random, run)
    tools = [_tool(name, effects) for name, effects in EFFECTS_OF.items()]
    asks = [
        {**tool, "approve": "always" if tool["effects"] == "once" else "never"} for tool in tools
    ]
    agents = {
        "a": _specialist(PLENTY, tools=tools, max_turns=30),
        "b": _specialist(PLENTY, tools=asks, max_turns=30),
        "c": _specialist(PLENTY),
    }
    return {"agents": agents, "tasks": tasks, "result": "join"}, COMPLETES


def _turns(random: Random, run: str) -> list[dict[str, Any]]:
    """Three tasks of six turns, and one that joins them."""
    tasks = []
    for number in range(3):
        name = f"t{number}"
        orders = [f"@@turns {tool} 2 {_arguments(run, name, tool)}@@" for tool in EFFECTS_OF]
        random.shuffle(orders)
        task = _task(run, name, random.choice("ab"))
        tasks.append({**task, "ask": f"{task['ask']} {' '.join(orders)}"})
    tasks.append(_task(run, "join", "c", "t0", "t1", "t2"))
    return tasks


def _servers(random: Random, run: str) -> tuple[dict[str, Any], frozenset[str]]:
    """The same tools of MCP servers: one that each worker starts, and one by HTTP."""
    command = [sys.executable, "-m", "tests.chaos.tool_server", f"{FOLDER}/{PIDS}"]
    servers = {
        "started": {"command": command, "directory": str(PROJECT_ROOT)},
        "elsewhere": {"url": f"{HTTP_SERVER}/mcp"},
    }
    of_server = {
        server: [
            {**_kind(effects), "server": server, "only": [name]}
            for name, effects in EFFECTS_OF.items()
        ]
        for server in servers
    }
    agents = {
        "a": _specialist(PLENTY, tools=of_server["started"], max_turns=30),
        "b": _specialist(PLENTY, tools=of_server["elsewhere"], max_turns=30),
        "c": _specialist(PLENTY),
    }
    body = {"agents": agents, "tasks": _turns(random, run), "result": "join"}
    return {**body, "tool_servers": servers}, COMPLETES


def _arguments(run: str, task: str, tool: str) -> str:
    counted = {} if tool == "look" else {"folder": FOLDER}
    return json.dumps({"task": f"{run}.{task}", **counted})


def _tool(name: str, effects: str) -> dict[str, Any]:
    source = {"python": f"tests.chaos.tools:{name}", "directory": str(PROJECT_ROOT)}
    return {**source, **_kind(effects)}


def _kind(effects: str) -> dict[str, Any]:
    tool: dict[str, Any] = {"effects": effects, "approve": "never"}
    tool |= {"timeout_seconds": 20, "max_attempts": 10}
    if effects != "none":
        tool |= {"key_argument": "key", "price_usd": "0.0002"}
    return tool


def _scopes(random: Random, run: str) -> tuple[dict[str, Any], frozenset[str]]:
    """Agents that are programs, which make their calls through a scope of the gateway."""
    names = [f"scoped{number}" for number in range(random.randint(2, 3))]
    tasks = [_task(run, name, "program") for name in names]
    tasks.append(_task(run, "join", "b", *names))
    program = _specialist(PLENTY, timeout_seconds=60)
    program["run"] = {"python": "tests.chaos.tools:calls", "directory": str(PROJECT_ROOT)}
    agents = {"program": program, "b": _specialist(PLENTY)}
    return {"agents": agents, "tasks": tasks, "result": "join"}, COMPLETES


SHAPE_MAKERS: Final[dict[str, Shape]] = {
    "fan": _fan,
    "chain": _chain,
    "repairs": _repairs,
    "tiny": _tiny,
    "skip": _skip,
    "fallback": _fallback,
    "shrink": _shrink,
    "fail": _fail,
    "approval": _approval,
    "long": _long,
    "heavy": _heavy,
    "tools": _tools,
    "scopes": _scopes,
    "servers": _servers,
    "late": _late,
    "wide": _wide,
}
SEAM_EVENTS: Final = {"long": 60, "tools": 150, "servers": 150, "late": 40, "wide": 60}
"""After how many events a run of this shape continues as new."""
