"""What is too large for Temporal, found before a run: its start input, and each task's prompt.

`validate` and `start` use this, the workflow does not: a run that Temporal has taken is bounded
task by task. Counted in bytes of JSON (`encoded_size.py`).
"""

from collections.abc import Container, Iterator
from itertools import chain, islice

from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Task
from durable_agent_team.rules.bounds import BYTES_PER_TOKEN, MAX_PROMPT_BYTES
from durable_agent_team.rules.catalog import checkable_tasks
from durable_agent_team.rules.encoded_size import MAX_PAYLOAD_BYTES, encoded_bytes
from durable_agent_team.rules.estimate import CallBound, estimate
from durable_agent_team.rules.prompts import system_text, task_prompt_bytes, task_sources

CALL_BYTES = 8_000
"""Allowed for what a request carries besides its texts: the account with its sealed key, names."""

MAX_LISTED = 20
"""Tasks. A document that is too large is so for every task that reads it."""

AS_JSON = "as JSON, where a quotation mark or a line break takes two bytes"


def size_problems(request: RunRequest, has_store: bool) -> list[Problem]:
    """A start input that Temporal would refuse, and tasks whose known prompt cannot be sent."""
    if has_store:
        return list(prompt_problems(request))
    found = chain(start_problems(request), prompt_problems(request), _payload_problems(request))
    return list(islice(found, MAX_LISTED))


def start_problems(request: RunRequest) -> Iterator[Problem]:
    """A start input that is larger than a payload, with what most of it consists of. Where there is
    a store of large texts, it goes there."""
    size = encoded_bytes(request)
    if size <= MAX_PAYLOAD_BYTES:
        return
    tasks, sources = encoded_bytes(request.team.tasks), encoded_bytes(request.sources)
    seed = encoded_bytes(request.seed) if request.seed is not None else 0
    field, own, remedy = "agents", size - tasks - sources - seed, "shorten their instructions"
    if seed >= max(tasks, sources, own):
        field, own = "seed", seed
        remedy = "take over less, or set EXTERNAL_STORAGE, where large start inputs go"
    elif sources >= max(tasks, own):
        field, own = "inputs", sources
        remedy = "shorten the documents, or split the work over several runs"
    elif tasks >= own:
        field, own = "tasks", tasks
        remedy = "shorten the asks, put what they share into `instructions`, or use several runs"
    yield Problem(
        field=field,
        value=f"{own:,} bytes",
        what=f"the run's start input has {size:,} bytes {AS_JSON}; Temporal takes"
        f" {MAX_PAYLOAD_BYTES:,}",
        remedy=remedy,
    )


def size_warnings(request: RunRequest) -> list[Problem]:
    """Prompts that may turn out too large, if the answers that they are made from are as long as
    they may be. The team has no problems."""
    calls = estimate(request, ModelCatalog()).calls
    too_large = (each for each in calls if each.calls and each.prompt_bytes > MAX_PROMPT_BYTES)
    tasks = {task.id for task in request.team.tasks}
    return [_may_be_too_large(each, tasks) for each in islice(too_large, MAX_LISTED)]


def prompt_problems(request: RunRequest) -> Iterator[Problem]:
    """Tasks whose documents alone are larger than a prompt may be."""
    return islice(_prompt_problems(request), MAX_LISTED)


def _prompt_problems(request: RunRequest) -> Iterator[Problem]:
    for task in checkable_tasks(request):
        prompt = task_prompt_bytes(request.team, task, request.texts)
        if prompt > MAX_PROMPT_BYTES:
            yield _too_large(task, f"{prompt:,} bytes, more than the {MAX_PROMPT_BYTES:,}")


def _payload_problems(request: RunRequest) -> Iterator[Problem]:
    """Tasks whose documents are not too large as texts, but as JSON in a message."""
    for task in checkable_tasks(request):
        size = _call_bytes(request, task)
        if size > MAX_PAYLOAD_BYTES:
            yield _too_large(task, f"{size:,} bytes {AS_JSON}, more than the {MAX_PAYLOAD_BYTES:,}")


def _call_bytes(request: RunRequest, task: Task) -> int:
    """The size of a task's first request, without the hand-offs of other tasks."""
    team = request.team
    sources = task_sources(team, task, request.texts, {})
    return CALL_BYTES + encoded_bytes(
        (system_text(team.agents[task.agent]), task.ask, task.output, sources)
    )


def _too_large(task: Task, figures: str) -> Problem:
    return Problem(
        field=f"tasks.{task.id}.inputs",
        what=f"its prompt has {figures} that a call may carry",
        remedy="shorten its documents, or read them in several tasks",
    )


def _may_be_too_large(bound: CallBound, tasks: Container[str]) -> Problem:
    field = f"tasks.{bound.subject}.depends_on"
    if bound.subject not in tasks:
        field = f"orchestrator, {bound.subject}"
    return Problem(
        field=field,
        value=f"{bound.prompt_bytes:,} bytes",
        what="its prompt is as large as this if every answer in it has all its max_tokens, at"
        f" {BYTES_PER_TOKEN} bytes each; a call may carry {MAX_PROMPT_BYTES:,}, and above that it"
        " fails, after the answers were paid for",
        remedy="lower the max_tokens of the agents before it, or sum up in between",
    )
