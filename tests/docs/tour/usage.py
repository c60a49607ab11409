"""What every command prints when all is well: the blocks in `docs/commands.md` begin with `$`.

`python -m tests.docs.tour.usage` runs them all and writes the blocks again.
"""

import asyncio
import logging
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.docs.tour.case import TEAM, Case, Output
from tests.docs.tour.stage import play_all

PAGE = Path(__file__).parents[3] / "docs" / "commands.md"
RUN = {"team.yaml": TEAM.replace("agents:\n", "agents:\n  editor: {role: Editor, budget_usd: 1}\n")}
POOR = {"team.yaml": RUN["team.yaml"].replace("Researcher, budget_usd: 1", "R, budget_usd: 0.001")}
ASKS = {"team.yaml": RUN["team.yaml"] + "approve_plan: true\n"}
START = "starter.py start team.yaml --id"
DIED_INSIDE = """\
import json, os
report = {"effect_unknown": {"effect": "refund:1", "tool": "refund", "attempt": 1001}}
open(os.environ["AGENT_REPORT"], "w").write(json.dumps(report))
raise SystemExit(75)
"""
PROGRAM = {
    "team.yaml": """\
name: refunds
goal: Refund order 7
orchestrator: {budget_usd: 1}
agents:
  clerk: {role: Clerk, budget_usd: 1, run: {command: [python3, clerk.py]}}
tasks:
  - {id: refund, agent: clerk, ask: Refund order 7.}
result: refund
""",
    "clerk.py": DIED_INSIDE,
}
"""A program that was killed inside of its tool, and reports that it cannot know what happened."""
REFUND = {
    "team.yaml": """\
name: refunds
goal: Refund order 17
orchestrator: {budget_usd: 1}
agents:
  clerk:
    role: Clerk
    budget_usd: 1
    tools: [{python: "orders:refund", effects: once, approve: always, required: true, max_calls: 1}]
tasks:
  - {id: settle, agent: clerk, ask: Refund order A-17.}
result: settle
""",
    "orders.py": """\
from typing import Literal


def refund(order: Literal["A-17"], share: Literal["half", "full"]) -> str:
    return f"{order}: {share} of it was paid back"
""",
}
"""A call of a tool that waits for approval."""


def ended(run: str, command: str, *says: str, part: str = "") -> Case:
    given = [f"starter.py run team.yaml --id {run}"]
    return Case(command, command, says, 0, files=RUN, given=given, part=part)


def waiting(run: str, command: str, *says: str, part: str = "") -> Case:
    """A run that waits: for money, or for a yes."""
    return Case(command, command, says, 0, files=POOR, part=part,
                given=[f"{START} {run}"], until=(run, "parked"))  # fmt: skip


def asking(run: str, command: str, *says: str, part: str = "") -> Case:
    return Case(command, command, says, 0, files=ASKS, part=part,
                given=[f"{START} {run}"], until=(run, "approval"))  # fmt: skip


def file(command: str, *says: str) -> Case:
    return Case(command, command, says, 0, files=RUN, env={"DEFAULT_MODEL": "smollm2-135m"})


CASES = [
    file("starter.py run team.yaml --id brief", "run brief: completed", "ledger: ", "agrees"),
    file("starter.py start team.yaml --id brief-2", "brief-2"),
    ended("brief-13", "starter.py rerun brief-13 --id brief-14 --detach",
          "1 task taken over from brief-13", "not paid again", "brief-14"),
    ended("brief-3", "starter.py watch brief-3", "run brief-3: completed", "agrees"),
    ended("brief-4", "starter.py result brief-4", "completed", "orchestrator", "agrees"),
    ended("brief-12", "starter.py state brief-12", "status  completed", "facts  research  done"),
    ended("brief-5", "starter.py spend brief-5", "orchestrator", "research", "total", "agrees"),
    ended("brief-6", "starter.py list", "run", "team", "status", "spent USD", "brief-6"),
    asking("ask-1", "starter.py cancel ask-1 --reason 'not needed'", "is stopping", "result"),
    waiting("poor-1", "starter.py budget poor-1 research 0.5", "budget 0.500000 USD", "left"),
    waiting("poor-2", "starter.py transfer poor-2 editor research 0.5", "editor: ", "research: "),
    waiting("poor-5", "starter.py agent poor-5 research --timeout 30 --attempts 3",
            "research: model smollm2-135m, 3 attempts of 30 seconds"),
    waiting("poor-6", "starter.py limits poor-6 --max-parallel 5 --budget 3",
            "5 calls at once, no deadline, agents' budgets up to 3.000000 USD"),
    Case("add-task", "starter.py add-task poor-7 task.yaml", ["risks: added; "], 0,
         files={**POOR, "task.yaml": "id: risks\nagent: editor\nask: List the risks.\n"},
         given=[f"{START} poor-7"], until=("poor-7", "parked")),
    waiting("poor-3", "starter.py retry poor-3 facts", "facts: is being tried again"),
    waiting("poor-4", "starter.py cancel-task poor-4 facts", "facts: "),
    Case("answer", "starter.py answer refund-1 refund skip", ["refund: answered"], 0,
         files=PROGRAM, given=[f"{START} refund-1"], until=("refund-1", "parked")),
    asking("ask-2", "starter.py approve ask-2 plan", "plan: approved; the run continues"),
    asking("ask-5", "starter.py approvals ask-5", "plan: the plan", "yes", "reject"),
    asking("ask-6", "starter.py reject ask-6 plan --note 'too dear'",
           "plan: rejected; the run is cancelled"),
    Case("edit", "starter.py edit refund-2 settle:1.1 arguments.json",
         ["settle:1.1: approved with the arguments of arguments.json"], 0,
         files={**REFUND, "arguments.json": '{"order": "A-17", "share": "half"}'},
         given=[f"{START} refund-2"], until=("refund-2", "parked")),
    asking("ask-3", "starter.py pause ask-3", "starts no new call", "resume ask-3"),
    asking("ask-4", "starter.py resume ask-4", "run ask-4 continues"),
    ended("brief-7", "starter.py task brief-7 facts", "ask: List the facts.", "charge: "),
    ended("brief-8", "starter.py charges brief-8", "idempotency key", "total"),
    ended("brief-9", "starter.py graph brief-9", "facts (research"),
    ended("brief-10", "starter.py report brief-10 --out brief.html", "brief.html", "completed"),
    Case("reconcile", "starter.py reconcile brief-11", ["disabled", "ledger: "], 0, files=RUN,
         given=["starter.py run team.yaml --id brief-11"], env={"ATXP_API_KEY": "{parent}"}),
    file("starter.py validate team.yaml", "team.yaml: good: team brief, 2 agents, 1 task"),
    file("starter.py estimate team.yaml", "worst USD", "in all"),
    file("starter.py start-input team.yaml --json", '"team":', '"goal":'),
    file("starter.py models", "smollm2-135m", "default"),
    file("starter.py mcp team.yaml", "serving MCP", "teams: brief"),
    file("starter.py schema", '"$schema"'),
    Case("init", "starter.py init first", ["first.yaml", "next: starter.py validate"], 0),
]  # fmt: skip
PARTS = {"run": "run brief:", "schema": "{"}
FIRST = {"schema": 4, "list": 1, "approvals": 1}
"""The rest is long, or differs from run to run."""


def name_of(case: Case) -> str:
    return case.command.split()[1]


def block(case: Case, output: Output) -> str:
    name = name_of(case)
    lines = output.text.splitlines()
    start = PARTS.get(name, "")
    begin = next(n for n, line in enumerate(lines) if line.startswith(start))
    shown = lines[begin:][: FIRST.get(name)]
    if name == "list":  # its columns are as wide as what else is there
        shown = [re.sub(r" {2,}", "  ", line) for line in shown]
    more = ["…"] if name in FIRST else []
    return "\n".join(["```", f"$ {case.command}", *shown, *more, "```"])


def with_blocks(page: str, outputs: Sequence[Output]) -> str:
    """The page with each command's block as printed: in its place, or at its section's end."""
    for case, each in zip(CASES, outputs, strict=True):
        fresh, name = block(case, each), name_of(case)
        head, title, rest = page.partition(f"\n## {name}\n")
        assert title, f"docs/commands.md has no section {name}"
        section, next_title, tail = rest.partition("\n## ")
        if not next_title:
            section, next_title, tail = rest.partition("\n# ")
        pattern = rf"```\n\$ starter\.py {name} .*?\n```|```\n\$ starter\.py {name}\n.*?\n```"
        if found := re.search(pattern, section, re.DOTALL):
            section = section[: found.start()] + fresh + section[found.end() :]
        else:
            section = f"{section.rstrip()}\n\n{fresh}\n"
        page = head + title + section + next_title + tail
    return page


async def main() -> None:
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        outputs = await play_all(Path(folder), CASES)
    PAGE.write_text(with_blocks(PAGE.read_text(encoding="utf-8"), outputs), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
