"""The small team that runs on every provider, and what its models answer."""

from typing import Any

GOAL = "Find out whether copper pays off."
PRICES: dict[str, Any] = {
    "type": "object",
    "properties": {
        "metal": {"type": "string", "maxLength": 20},
        "usd": {"type": "number", "minimum": 0},
        "note": {"type": "string"},
    },
    "required": ["metal", "usd"],
    "additionalProperties": False,
}
"""`note` is optional and `maxLength` is no keyword of strict mode."""

WHOLE: dict[str, Any] = {
    "inputs": [],
    "output": "text",
    "checks": None,
    "missing_inputs": "fail",
}


def planned_task(number: int, agent: str, ask: str, depends_on: list[str]) -> dict[str, Any]:
    return {"id": f"t{number}", "agent": agent, "ask": ask, "depends_on": depends_on}


TASKS = [
    planned_task(1, "research", "List the prices of the metal.", []),
    planned_task(2, "editor", "Write it up from what you get.", ["t1"]),
]
ANSWERS: dict[str, Any] = {
    "Split this goal into": {"tasks": TASKS},
    "Plan the work on this goal": {"tasks": [{**each, **WHOLE} for each in TASKS], "result": "t2"},
    "As JSON: the price of copper.": {"metal": "copper", "usd": 9.5},
    "List the prices": "Copper is at 9.5 USD.",
    "Write it up": "Copper pays off.",
}


def team(model: str, *, planned: bool, effort: str | None = None) -> dict[str, Any]:
    """Two agents with every setting that some provider refuses."""
    settings: dict[str, Any] = {
        "model": model,
        "budget_usd": 1,
        "temperature": 0,
        "frequency_penalty": 0.4,
        "seed": 7,
        "on_failure": "fail",
        "on_failed_check": "fail",
        "on_exhausted": "fail",
    }
    if effort is not None:
        settings["reasoning_effort"] = effort
    given = {
        "tasks": [
            {"id": "a", "agent": "research", "ask": "As JSON: the price of copper.",
             "output": PRICES},
            {"id": "b", "agent": "editor", "ask": "Write it up.", "depends_on": ["a"]},
        ],
        "result": "b",
    }  # fmt: skip
    return {
        "name": "metals",
        "goal": GOAL,
        "orchestrator": settings,
        "agents": {
            "research": {"role": "Researcher", **settings},
            "editor": {"role": "Editor", **settings},
        },
        "max_tasks": 2,
        "max_repairs": 0,
        **({} if planned else given),
    }
