"""Writes the pages of `docs/` that are made from code. `--check`: exit 1 if one is stale."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from durable_agent_team.contracts.error_types import ERRORS, Outcome  # noqa: E402
from tools.package_table import architecture  # noqa: E402
from tools.team_files_page import team_files  # noqa: E402

OUTCOMES = {
    Outcome.RETRIED: "The same call goes again with the same key, by the agent's `retry` policy:"
    " an answer that was billed already is not billed again where the provider can replay."
    " After the last attempt the task fails.",
    Outcome.WAITS: "The same call goes again when another call of the agent has settled.",
    Outcome.ON_EXHAUSTED: "The agent's `on_exhausted` decides: `park` (the default) waits,"
    " durably, for a person; `fallback` makes a new call with `fallback_model`; `skip` ends the"
    " task without a hand-off; `fail` fails it. The message is the server's own.",
    Outcome.PARKS: "The task waits, durably and without a slot, until a person wakes it or"
    " `park_timeout_seconds` are over.",
    Outcome.REPAIRED: "The agent gets its answer back with the reasons: a new call at its own"
    " cost, `max_repairs` times at most. Then the task fails.",
    Outcome.FAILS_TASK: "The task fails at once; the team's `on_task_failure` decides about the"
    " rest.",
    Outcome.FAILS_RUN: "The run fails at once. Its accounts are closed all the same.",
}


def failures() -> str:
    """`docs/failures.md`: every error type, what becomes of it, what to do."""
    lines = [
        "# Failures",
        "",
        "<!-- Made from durable_agent_team/contracts/error_types.py by"
        " `python tools/generate_docs.py`. Do not edit. -->",
        "",
        "Every error has one of these types: in Temporal's history, in the query `state`, in the"
        " report and on the command line. Its details say what the call is known to have cost so"
        " far.",
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
    "docs/architecture.md": architecture,
    "docs/failures.md": failures,
    "docs/team-files.md": team_files,
}


def main() -> int:
    stale = [name for name, make in PAGES.items() if not _is_fresh(ROOT / name, make())]
    if "--check" in sys.argv[1:]:
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
