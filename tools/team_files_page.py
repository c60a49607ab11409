"""Generates `docs/team-files.md`: types and bounds from the models, meanings from here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from durable_agent_team.contracts.team import Agent, Caller, Checks, Retry, Task, Team
from tools import key_tables

TEXT = Path(__file__).parent / "team-files.text.md"
MODELS: dict[str, type[BaseModel]] = {
    "team": Team,
    "caller": Caller,
    "agent": Agent,
    "retry": Retry,
    "task": Task,
    "checks": Checks,
}

MEANINGS: dict[str, dict[str, str]] = {
    "team": {
        "name": "The team's name, used in run ids, lists and notifications.",
        "goal": "What the run is for. Required here or as `--goal`. Only the orchestrator sees it.",
        "budget_usd": "A limit for all agents together, USD. Agents without a `budget_usd` share"
        " what the others leave of it, in proportion to the worst case of their tasks: in USD if"
        " all their prices are known, else in tokens. An agent with a free model gets 0.000001."
        " Raising an agent's limit beyond it is refused.",
        "orchestrator": "The one agent that knows the goal.",
        "tool_servers": "MCP servers by name: `{command: [...]}` or `{url: URL}`. The `tools` of"
        " agents name them. [tools.md](tools.md) has their keys.",
        "agents": "The specialists, by name. The name `orchestrator` is reserved.",
        "tasks": "The plan. If omitted, the orchestrator decomposes the goal.",
        "result": "The task whose hand-off the answer is made from. If omitted: all tasks that no"
        " other task depends on. Only together with `tasks`.",
        "final": "`orchestrator`: it writes the answer from the goal and the result."
        " `handoff`: the result itself is the answer, and no call is made for it; unless it"
        " reviews, the orchestrator then needs no budget.",
        "review_rounds": "How often the orchestrator reviews what is done and what failed, with"
        " the goal restated, and adds, drops or repeats tasks, or finishes. Its calls are paid from"
        " its own account.",
        "approve_plan": "The plan waits for an operator's `approve` before any task is paid for.",
        "approve_review": "Whether what a review changes in the plan waits for an operator's"
        " `approve`. `tainted`: where the review has read a hand-off that may hold something from"
        " outside, in a team with tools ([tools.md](tools.md#taint)).",
        "max_parallel": "Calls in flight at once. Parked and waiting tasks do not count.",
        "max_tasks": "The most tasks that a plan may have.",
        "max_repairs": "How often an answer that fails its checks is sent back to its agent.",
        "on_task_failure": "`finish_rest`: tasks that do not depend on the failed one continue."
        " `cancel_rest`: everything stops.",
        "notify_url": "Receives a POST when something that `notify_on` lists has happened.",
        "notify_on": "`waiting` (a call parks, a plan waits for approval), `failed`, `completed`,"
        " `cancelled`: what `notify_url` is called for.",
    },
    "caller": {
        "model": "A model with a price at the endpoint. If omitted: the worker's `DEFAULT_MODEL`.",
        "budget_usd": "The limit of its account in this run, USD. Required here or for the team.",
        "instructions": "How it should work; part of all its prompts.",
        "max_tokens": "The most tokens of an answer, with the model's thinking. Part of what a call"
        " reserves. The repair of an answer that was cut off may have more, within the account, the"
        " model and its context.",
        "context_tokens": "The model's context window. If omitted: as the endpoint's list has it.",
        "temperature": "As in the OpenAI API. `null`: it is not sent. The gateway leaves it out for"
        " models that refuse it.",
        "frequency_penalty": "As in the OpenAI API. Small models repeat themselves without it.",
        "seed": "As in the OpenAI API.",
        "reasoning_effort": "As in the OpenAI API: how much a reasoning model thinks. If omitted:"
        " the model's default.",
        "timeout_seconds": "The timeout of one attempt of a call. Our gateway lets a call take as"
        " long, up to its own limit; more than that is refused.",
        "retry": "How often, at which intervals and for how long a failed attempt is repeated.",
        "on_failure": "What happens when a call is refused for another reason than money, or does"
        " not succeed in its attempts or its time: `park` waits for an operator, `fail` fails the"
        " task. [failures.md](failures.md) lists which errors are meant.",
        "on_failed_check": "What happens when the last repair failed its checks, too, or the model"
        " refuses to answer: `fail` fails the task; `park` waits for an operator, and then starts"
        " again.",
        "on_exhausted": "What happens when a call is refused for lack of money: wait for an"
        " operator, use the cheaper model, end the task without a hand-off, or fail it.",
        "fallback_model": "For `on_exhausted: fallback`. If it is refused too, the task parks.",
        "min_tokens": "`max_tokens` may first be reduced to this to fit the account. If omitted, it"
        " is not reduced.",
        "park_timeout_seconds": "How long a parked task waits for an operator.",
        "on_park_timeout": "What happens after that.",
        "breaker_failures": "After this many failed calls in a row the agent is no longer called,"
        " and its tasks park.",
        "approve_above_usd": "A call that can cost more waits until a person approves it. USD.",
    },
    "agent": {
        "role": "Who it is: the first line of all its prompts.",
        "inputs": "Documents for every task of this agent: files in the team file's folder or"
        " below it.",
        "run": "The agent is a program: `{python: module:function}`, `{command: [...]}` or"
        " `{a2a: URL}`. It makes its own calls of models, within `budget_usd`."
        " [programs.md](programs.md) has what it gets and must give.",
        "tools": "What it may call before it answers: names of built-in tools, `{server: NAME}`, or"
        " `{python: module:function}`. [tools.md](tools.md) has their keys.",
        "max_turns": "Calls of the model for one answer. In the last one it gets no tools.",
    },
    "retry": {
        "max_attempts": "Attempts in total, including the first one. Attempts that met a rate limit"
        " or an outage do not count, unless they may have been billed.",
        "initial_seconds": "The pause before the second attempt.",
        "backoff": "The factor by which each pause is longer than the last one.",
        "max_seconds": "The longest pause between these attempts. In an outage, pauses grow to five"
        " minutes; a server's `Retry-After` is always waited for.",
        "give_up_after_seconds": "How long a rate limit or an outage is waited out, from the first"
        " failed attempts on; `max_attempts` are made in any case. Then `on_failure` decides.",
    },
    "task": {
        "id": "Its name, under which dependent tasks see its hand-off.",
        "agent": "The agent that does it.",
        "ask": "What the agent is asked to do. It should not contain the goal: `validate` warns.",
        "depends_on": "Tasks whose hand-offs it receives and which it waits for.",
        "inputs": "Documents for this task: files in the team file's folder or below it. Add any"
        " other file with `--input TASK=FILE`.",
        "output": "`text`; `findings` (JSON: quotes with their sources); or a JSON Schema.",
        "checks": "Rules for the answer in addition to its schema.",
        "missing_inputs": "When a dependency was skipped or cancelled: `fail`, or `accept` to run"
        " without it, with a note of what is missing.",
        "approve": "`before`: a person approves the task before its first call. `after`: its"
        " hand-off, before it is handed on.",
    },
    "checks": {
        "min_length": "The fewest characters of the answer.",
        "max_length": "The most characters of the answer.",
        "quotes_exist_in": "`inputs`: every quote must occur in one of the task's inputs, word for"
        " word and number for number. Spaces, line breaks, hyphens at line ends, kinds of quotation"
        " marks and dashes, ligatures, composed accents and hidden characters may differ.",
        "complete": "`true`: an answer that was cut off fails, by its limit of tokens, by the"
        " provider's filter, or by an error there. `false`: it is handed on as it is.",
    },
}


def team_files() -> str:
    """Returns the page: its text, with each `<!-- keys: SECTION -->` replaced by a table."""
    return key_tables.page(TEXT, "team.py", {name: table(name) for name in MEANINGS})


def table(section: str) -> Iterator[str]:
    """Yields the rows, one for each key. Raises ValueError if keys and meanings differ."""
    return key_tables.rows(*keys(section), MEANINGS[section], section)


def keys(section: str) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """Returns the section's keys with their JSON Schemas, and the names of the required ones."""
    # The orchestrator has all other keys of an agent, too.
    left_out = Caller.model_fields if section == "agent" else ()
    return key_tables.keys_of(MODELS[section], left_out)
