"""Writes the generated pages of `docs/`."""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from durable_agent_team.contracts.error_types import ERRORS, Outcome  # noqa: E402
from tools.decision_index import decision_index  # noqa: E402
from tools.package_table import architecture  # noqa: E402
from tools.team_files_page import team_files  # noqa: E402
from tools.tools_page import tools_page  # noqa: E402

OUTCOMES = {
    Outcome.OUTLASTED: "The same call is attempted again with the same key: the first attempts"
    " follow each other by the agent's `retry` policy, later ones with pauses that grow to five"
    " minutes, until `retry.give_up_after_seconds` have passed (an hour by default). While it"
    " waits, the call holds no slot and no money, `state` says when it is attempted next, and only"
    " one of the calls that wait for a model tries for all of them. `retry_task`, another model or"
    " a deadline take effect at once. After that time the agent's `on_failure` decides: `park` (the"
    " default) or `fail`.",
    Outcome.RETRIED: "The same call is attempted again with the same key, at most"
    " `retry.max_attempts` times, by the agent's `retry` policy. Where the provider can replay"
    " answers, one that was billed is not billed again. After the last attempt the agent's"
    " `on_failure` decides: `park` (the default) or `fail`.",
    Outcome.WAITS: "The same call is sent again when another call of the agent has settled.",
    Outcome.ON_EXHAUSTED: "The agent's `on_exhausted` decides: `park` (the default) waits durably"
    " for an operator; `fallback` makes a new call with `fallback_model`; `skip` ends the task"
    " without a hand-off; `fail` fails it. The message is the server's own.",
    Outcome.PARKS: "The task waits durably, without a slot, until an operator wakes it or"
    " `park_timeout_seconds` have passed.",
    Outcome.REPAIRED: "The answer goes back to the agent with the reasons, as a new call at its"
    " own cost, at most `max_repairs` times. Then the agent's `on_failed_check` decides: `fail`"
    " (the default) or `park`; a parked task that is woken starts again, with all its repairs.",
    Outcome.ON_FAILURE: "Waiting would not help, so the agent's `on_failure` decides at once:"
    " `park` (the default) waits durably for an operator, who corrects the cause and wakes the task"
    " with `retry_task`, or gives the agent another model; `fail` fails it.",
    Outcome.FAILS_TASK: "The task fails at once; the team's `on_task_failure` decides what happens"
    " to the rest.",
    Outcome.FAILS_RUN: "The run fails at once. Its accounts are closed anyway.",
}


def failures() -> str:
    """Returns `docs/failures.md`: every error type, what happens next, and the remedy."""
    lines = [
        "# Failures",
        "",
        "<!-- Made from durable_agent_team/contracts/error_types.py by"
        " `python tools/generate_docs.py`. Do not edit. -->",
        "",
        "Every error has one of these types, in Temporal's history, in the query `state`, in the"
        " report and on the command line. Its details contain what the call is known to have cost"
        " so far. [errors.md](errors.md) shows the messages themselves.",
        "",
    ]
    for outcome in Outcome:
        lines += [f"## {outcome.value[0].upper()}{outcome.value[1:]}", "", OUTCOMES[outcome], ""]
        lines += ["| type | what happened | what to do |", "| --- | --- | --- |"]
        lines += [
            f"| `{kind.value}` | {_cell(rule.meaning)} | {_cell(rule.remedy)} |"
            for kind, rule in ERRORS.items()
            if rule.outcome is outcome
        ]
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


PAGES = {
    "docs/adr/README.md": decision_index,
    "docs/architecture.md": architecture,
    "docs/failures.md": failures,
    "docs/team-files.md": team_files,
    "docs/tools.md": tools_page,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if one is stale"
    )
    arguments = parser.parse_args()
    stale = [name for name, make in PAGES.items() if not _is_fresh(ROOT / name, make())]
    if arguments.check:
        for name in stale:
            print(f"{name} is stale: run `python tools/generate_docs.py`", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (ROOT / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"wrote {name}")
    return 0


def _is_fresh(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
