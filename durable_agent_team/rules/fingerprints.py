"""Fingerprints of requests: equal where two calls would send the same body, and check it alike.

What shapes a body counts: the model, the texts, the inputs, the schema, the sampling. Keys,
accounts, budgets, limits, timeouts and retries do not, and neither does the name of the task or of
its agent. A repair counts as the request that it repairs.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from durable_agent_team.contracts.call import CallRequest, Purpose, Source
from durable_agent_team.contracts.program_kinds import Run
from durable_agent_team.contracts.team import Caller, Checks, Task, Team
from durable_agent_team.contracts.text_ref import Text, TextRef
from durable_agent_team.contracts.tool_kinds import ServerTools
from durable_agent_team.rules.briefing import Briefing
from durable_agent_team.rules.planning import plan_ask, plan_schema
from durable_agent_team.rules.programs import run_of
from durable_agent_team.rules.prompts import (
    FINAL_ASK,
    orchestrator_text,
    system_text,
    task_sources,
)
from durable_agent_team.rules.whole_plans import COSTS_HEADING

_SHAPES_A_TOOL: Final = frozenset(
    {
        *("built_in", "hosts", "server", "only", "leave_out", "python"),
        *("effects", "required", "max_calls", "max_result_bytes", "key_argument"),
    }
)


def call_fingerprint(
    call: CallRequest, run: Run | None = None, tools: Mapping[str, Any] | None = None
) -> str:
    """The fingerprint of a request as it was sent. `run` is the program that answered it, and
    `tools` what `tools_of` returns for its agent."""
    return _hash(
        {
            **_program(run),
            **(tools or {}),
            "purpose": call.purpose,
            "model": call.model,
            "max_tokens": call.raised_from or call.max_tokens,
            "temperature": call.temperature,
            "frequency_penalty": call.frequency_penalty,
            "seed": call.seed,
            **_effort(call.reasoning_effort),
            "system": call.system,
            "goal": call.goal,
            "sources": _sources(call.sources),
            "missing": call.missing,
            "ask": _without_costs(call.ask) if call.checked_by_workflow else call.ask,
            "output": call.output,
            "checks": _checks(call.checks),
        }
    )


def task_fingerprint(
    team: Team, task: Task, documents: Mapping[str, Text], handoffs: Mapping[str, Text], model: str
) -> str:
    """The fingerprint of the request that a run would send for this task, once `handoffs` exist.

    `model` is the agent's own, or the worker's default.
    """
    agent = team.agents[task.agent]
    return _planned(
        agent,
        model,
        purpose=Purpose.WORK,
        system=system_text(agent),
        ask=task.ask,
        sources=_sources(task_sources(team, task, documents, handoffs)),
        missing=[each for each in task.depends_on if each not in handoffs],
        output=task.output,
        checks=task.checks,
        run=run_of(agent),
        tools=tools_of(team, task.agent),
    )


def tools_of(team: Team, agent: str) -> dict[str, Any]:
    """What an agent may call: with other tools, it is another request. Where they run, their limits
    of time and their approvals are not part of it."""
    settings = team.agents.get(agent)
    if settings is None or not settings.tools:
        return {}
    named = {each.server for each in settings.tools if isinstance(each, ServerTools)}
    servers = {name: each for name, each in team.tool_servers.items() if name in named}
    return {
        "tools": [
            each.model_dump(mode="json", include=set(_SHAPES_A_TOOL)) for each in settings.tools
        ],
        "tool_servers": {
            name: each.model_dump(mode="json", include={"command", "url"})
            for name, each in servers.items()
        },
        "max_turns": settings.max_turns,
    }


def plan_fingerprint(briefing: Briefing, model: str) -> str:
    """The fingerprint of the request for a plan: the orchestrator's settings, the goal, the agents
    and, in the whole form, the documents. Prices and the money that is left do not count."""
    team = briefing.team
    return _planned(
        team.orchestrator,
        model,
        purpose=Purpose.PLAN,
        system=orchestrator_text(team),
        goal=briefing.goal,
        ask=_without_costs(plan_ask(briefing)),
        output=plan_schema(briefing),
    )


def answer_fingerprint(team: Team, goal: str, handoffs: Mapping[str, Text], model: str) -> str:
    """The fingerprint of the request for the final answer, from the result tasks' hand-offs."""
    return _planned(
        team.orchestrator,
        model,
        purpose=Purpose.FINAL,
        system=orchestrator_text(team),
        goal=goal,
        ask=FINAL_ASK,
        sources=_sources([Source.of(name, text) for name, text in handoffs.items()]),
    )


def _planned(
    caller: Caller,
    model: str,
    *,
    purpose: Purpose,
    system: str,
    ask: str,
    goal: str | None = None,
    sources: Sequence[tuple[str, str]] = (),
    missing: Sequence[str] = (),
    output: str | dict[str, Any] = "text",
    checks: Checks | None = None,
    run: Run | None = None,
    tools: Mapping[str, Any] | None = None,
) -> str:
    return _hash(
        {
            **_program(run),
            **(tools or {}),
            "purpose": purpose,
            "model": model,
            "max_tokens": caller.max_tokens,
            "temperature": caller.temperature,
            "frequency_penalty": caller.frequency_penalty,
            "seed": caller.seed,
            **_effort(caller.reasoning_effort),
            "system": system,
            "goal": goal,
            "sources": sources,
            "missing": missing,
            "ask": ask,
            "output": output,
            "checks": _checks(checks or Checks()),
        }
    )


def _checks(checks: Checks) -> dict[str, Any]:
    """Without what it says by default since it was added: earlier fingerprints stay."""
    return checks.model_dump(exclude={"complete"} if checks.complete else None)


def _program(run: Run | None) -> dict[str, Any]:
    """Another program is another request; the variables that it gets are not part of it."""
    return {} if run is None else {"run": run.model_dump(exclude={"env", "headers"})}


def _effort(effort: str | None) -> dict[str, str]:
    """Only where it is given: fingerprints of runs before it existed stay what they were."""
    return {} if effort is None else {"reasoning_effort": effort}


def _without_costs(ask: str) -> str:
    """The request for a plan without its end, which says what the agents cost and have left."""
    return ask.rpartition(COSTS_HEADING)[0] or ask


def _sources(sources: Iterable[Source]) -> list[tuple[str, str]]:
    return [(each.name, _sha256(each.whole)) for each in sources]


def _sha256(text: Text) -> str:
    """The same for a text and for the reference to it."""
    return text.sha256 if isinstance(text, TextRef) else hashlib.sha256(text.encode()).hexdigest()


def _hash(content: Mapping[str, Any]) -> str:
    """JSON has one form for a number: 0 and 0.0 are the same temperature."""
    numbers = {
        name: float(content[name])
        for name in ("temperature", "frequency_penalty")
        if content[name] is not None
    }
    text = json.dumps({**content, **numbers}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
