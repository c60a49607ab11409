"""The tour as a page: `docs/errors.md`."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.docs.tour import cases_commands, cases_gateway, cases_runs, cases_settings, cases_team
from tests.docs.tour.case import Case, Section, Told

PAGE = Path(__file__).parents[3] / "docs" / "errors.md"

SECTIONS: list[Section] = [
    *cases_team.SECTIONS,
    *cases_commands.SECTIONS,
    *cases_settings.SECTIONS,
    *cases_runs.SECTIONS,
    *cases_gateway.SECTIONS,
]
CASES: list[Case] = [case for section in SECTIONS for case in section.cases]

HEAD = """\
# Errors

<!-- Made by making every one of them: `python -m tests.docs.tour`. Do not edit. -->

Every error says what happened, to what (a file and its line, a field and its value, a run, an
address), and what to do. Below, each was really made, and a test looks at its text. What differs
from machine to machine is the same here: addresses, times, keys.

Exit codes are those of [commands](commands.md). What becomes of an error inside a run is in
[failures](failures.md); the gateway's answers are told in [the gateway](gateway.md).
"""


def errors_page(told: Sequence[Told]) -> str:
    parts = [HEAD]
    texts = iter(told)
    for section in SECTIONS:
        parts += [f"## {section.title}", ""]
        parts += [section.about, ""] if section.about else []
        for case in section.cases:
            parts += _case(case, next(texts))
    return "\n".join(parts)


def _case(case: Case, told: Told) -> Iterator[str]:
    yield from (f"**{case.title}.**", "", "```")
    env = "".join(f"{name}={shlex.quote(value)} " for name, value in _shown_env(case))
    is_request = case.command.split(" ")[0] in ("GET", "POST", "PATCH", "DELETE")
    yield f"{'' if is_request else '$ '}{env}{_short(case.command)}"
    yield from _part(told.text.splitlines(), case.part)[: case.first]
    yield from ("```", "", f"{'HTTP status' if is_request else 'Exit code'} {told.code}.", "")


def _part(lines: list[str], start: str) -> list[str]:
    begin = next((n for n, line in enumerate(lines) if line.startswith(start)), 0) if start else 0
    end = next((n for n in range(begin, len(lines)) if start and not lines[n]), len(lines))
    return lines[begin:end]


def _shown_env(case: Case) -> Iterator[tuple[str, str]]:
    """What a case sets only to stay out of the way is not worth reading."""
    for name, value in case.env.items():
        quiet = name.endswith(("_PORT", "_KEY", "_SECRET")) and name not in " ".join(case.says)
        if not quiet and not (name == "UPSTREAM_URL" and "127.0.0.1:9" in value):
            yield name, value.replace("{here}/", "").replace("{taken}", "7233")


def _short(command: str) -> str:
    return command.replace("x" * 1_200, "x…x")
