"""Bad plans and reviews, each with the words that go back to the model that wrote it.

The team: `lawyer` reads licences/GPL-2.txt, `writer` reads nothing; `max_tasks` is 12; the goal is
"Tell our board which licences let us ship the product." The lawyer has 0.05 USD left.
"""
# ruff: noqa: E501 (the words stand as they go back)

import json
import sys
from typing import Any

GPL = "licences/GPL-2.txt"
GOAL = "Tell our board which licences let us ship the product."
SOUND = {"id": "note", "agent": "writer", "ask": "Write a line on notices."}

FORM = '(answer with {"tasks": […], "result": …} alone)'
LIST_OF_IDS = '(a list of ids of other tasks, such as ["prices"]; [] for none)'
OUTPUT = 'write "text", "findings", or a JSON Schema as JSON text, such as {"type": "object"}'
TASK = "id, agent, ask, depends_on, inputs, output, checks, missing_inputs"
NAME = "small letters, digits, - and _, beginning with a letter, at most 40"
OTHER_WORDS = "it repeats the whole goal (ask for one narrow part of it, in other words)"


def plan(*tasks: Any, **more: Any) -> str:
    return json.dumps({"tasks": list(tasks), **more})


def task(**changes: Any) -> dict[str, Any]:
    return {**SOUND, **changes}


def chain(*edges: str) -> str:
    """`a>b` is a task a that waits for b."""
    return plan(*(task(id=each[0], depends_on=list(each[2:])) for each in edges))


TRAILING_COMMA = (
    "Expecting value: line 1 column 15 (char 14)"
    if sys.version_info < (3, 13)
    else "Illegal trailing comma before end of array: line 1 column 13 (char 12)"
)
BAD_PLANS: dict[str, tuple[str, list[str]]] = {
    "no JSON": (
        "I would first read the licences, and then write.",
        [f"plan: it is not JSON: Expecting value: line 1 column 1 (char 0) {FORM}"],
    ),
    "a comma after the last task": (
        '{"tasks": [1, ], "result": null}',
        [
            f"plan: it is not JSON: {TRAILING_COMMA} (JSON has no comments, and no comma after the last"
            f" item: {FORM[1:]}"
        ],
    ),
    "a comment": (
        '{\n  // the work\n  "tasks": []}',
        [
            "plan: it is not JSON: Expecting property name enclosed in double quotes: line 2 column 3"
            " (char 4) (JSON has no comments, and no comma after the last item:"
            f" {FORM[1:]}"
        ],
    ),
    "half of it": (
        '{"tasks": [{"id": "note", "agent": "wri',
        [
            f"plan: it is not JSON: Unterminated string starting at: line 1 column 36 (char 35) {FORM}"
        ],
    ),
    "a text": ('"a plan"', [f"plan: a plan is an object, and this is a text {FORM}"]),
    "null": ("null", [f"plan: a plan is an object, and this is null {FORM}"]),
    "empty": ('{"tasks": []}', ["tasks: there are no tasks (plan at least one task)"]),
    "no tasks": ('{"steps": []}', [f"tasks: is missing {FORM}"]),
    "tasks by name": (
        '{"tasks": {"note": {}}, "result": null}',
        [f"tasks: it is an object, and must be a list {FORM}"],
    ),
    "texts for tasks": (
        plan("Read the GPL.", SOUND),
        [f"tasks[0]: a task is an object, and this is a text (write one with {TASK})"],
    ),
    "a hundred tasks": (
        plan(*(task(id=f"t{number}") for number in range(100))),
        [
            "tasks = 100: more than max_tasks, 12 (plan 12 at most: merge small ones, leave out what"
            " the goal does not need)"
        ],
    ),
    "a cycle": (
        chain("a>c", "b>a", "c>b"),
        [
            "tasks = a -> c -> b -> a: these tasks wait for each other in a cycle (remove one of the"
            " dependencies)"
        ],
    ),
    "two cycles": (
        chain("a>b", "b>a", "c>d", "d>c"),
        [
            "tasks = a -> b -> a: these tasks wait for each other in a cycle (remove one of the"
            " dependencies)",
            "tasks = c -> d -> c: these tasks wait for each other in a cycle (remove one of the"
            " dependencies)",
        ],
    ),
    "itself": (
        chain("a>a"),
        ["tasks.a.depends_on = a: a task cannot wait for itself (leave it out)"],
    ),
    "an unknown agent": (
        plan(task(agent="judge")),
        ["tasks.note.agent = judge: no such agent (one of: lawyer, writer)"],
    ),
    "the orchestrator": (
        plan(task(agent="orchestrator")),
        [
            "tasks.note.agent = orchestrator: the orchestrator plans and answers, and has no tasks"
            " (one of: lawyer, writer)"
        ],
    ),
    "an unknown dependency": (
        plan(SOUND, task(id="end", depends_on=["not"])),
        ["tasks.end.depends_on = not: no such task (did you mean `note`?)"],
    ),
    "one id twice": (plan(SOUND, SOUND), ["tasks.note: 2 tasks have this id (rename one)"]),
    "an id with spaces": (
        plan(task(id="The Note")),
        [f"tasks[0].id = The Note: this is not a name (write it as the-note: {NAME})"],
    ),
    "a number for an id": (plan(task(id=7)), [f"tasks[0].id = 7: a text is needed here ({NAME})"]),
    "a reserved id": (
        plan(task(id="answer")),
        [
            "tasks.answer.id = answer: this id is reserved for the orchestrator's own work (choose"
            " another)"
        ],
    ),
    "no ask": (
        plan({"id": "note", "agent": "writer"}),
        ["tasks.note.ask: is missing (say what the agent is to do, in 1 to 8,000 characters)"],
    ),
    "depends_on as a text": (
        plan(SOUND, task(id="end", depends_on="note")),
        [f"tasks.end.depends_on = note: a list is needed here {LIST_OF_IDS}"],
    ),
    "a key that no task has": (
        plan(task(budget_usd=3, dependencies=["a"], title=None)),
        [
            f"tasks.note.budget_usd: a task has no such key (it has {TASK})",
            "tasks.note.dependencies: a task has no such key (did you mean depends_on? it has"
            f" {TASK})",
        ],
    ),
    "the goal": (
        plan(task(ask=f"First: {GOAL.upper()}")),
        [f"tasks.note.ask = First: {GOAL.upper()}: {OTHER_WORDS}"],
    ),
    "the goal in a schema": (
        plan(task(output={"type": "object", "description": f"To {GOAL.lower()}"})),
        [
            "tasks.note.output: its texts repeat the whole goal (describe the shape of the answer,"
            " without the goal)"
        ],
    ),
    "an id that is too long": (
        plan(task(id="a" * 60)),
        [f"tasks[0].id = {'a' * 60}: this is not a name (write it as {'a' * 40}: {NAME})"],
    ),
    "an unknown document": (
        plan(task(inputs=["GPL.txt"])),
        [f"tasks.note.inputs = GPL.txt: the run has no document of this name (one of: {GPL})"],
    ),
    "quotes of nothing": (
        plan(task(output="findings")),
        [
            "tasks.note.output = findings: the task has neither documents nor dependencies to quote"
            ' from (give it `inputs` or `depends_on`, or write output "text")'
        ],
    ),
    "an output that is none": (
        plan(task(output="table")),
        [f'tasks.note.output = table: it is neither "text" nor "findings" nor JSON ({OUTPUT})'],
    ),
    "a list for a schema": (
        plan(task(output=["text"])),
        [f"tasks.note.output: a JSON Schema is an object, and this is a list ({OUTPUT})"],
    ),
    "a schema cut off": (
        plan(task(output='{"type": ')),
        [
            'tasks.note.output = {"type": : it is not JSON: Expecting value: line 1 column 10 (char'
            f" 9) ({OUTPUT})"
        ],
    ),
    "a schema too large": (
        plan(task(output={"anyOf": [{}] * 3_000})),
        ["tasks.note.output: has more than 2000 parts (make it smaller)"],
    ),
    "checks that no answer passes": (
        plan(task(checks={"min_length": 9, "max_length": 3})),
        ["tasks.note.checks.min_length = 9: above max_length, 3: no answer can pass (swap them)"],
    ),
    "checks of another kind": (
        plan(task(checks={"min_words": 9, "quotes_exist_in": "sources"})),
        [
            "tasks.note.checks.min_words: `checks` has no such key (it has"
            " min_length, max_length, quotes_exist_in, complete)",
            "tasks.note.checks.quotes_exist_in = sources: this is not one of the choices (one of"
            " 'inputs')",
        ],
    ),
    "a result that does not exist": (
        plan(SOUND, result="summary"),
        ["result = summary: no such task (one of: note; or null, for all last tasks)"],
    ),
    "a result that others need": (
        plan(SOUND, task(id="end", depends_on=["note"]), result="note"),
        [
            "result = note: other tasks depend on it, and their results would not be used: end (name"
            " one that no other depends on, or null)"
        ],
    ),
    "too dear": (
        plan(*(task(id=f"read-{number}", agent="lawyer") for number in range(1, 7))),
        [
            "agents.lawyer = 0.065472 USD: its 6 tasks (read-1 0.010912, read-2 0.010912, read-3"
            " 0.010912, read-4 0.010912, read-5 0.010912 and 1 more) can cost that much in their first"
            " calls, and it has 0.05 USD left (give it fewer tasks, with fewer documents and"
            " dependencies, or give some to agents with more money)"
        ],
    ),
    "everything at once": (
        plan(task(id="a", agent="judge"), task(id="b c"), task(id="d", depends_on=["b c"])),
        [
            f"tasks[1].id = b c: this is not a name (write it as b-c: {NAME})",
            f"tasks.d.depends_on.0 = b c: this is not a name {LIST_OF_IDS}",
            "tasks.a.agent = judge: no such agent (one of: lawyer, writer)",
        ],
    ),
}
