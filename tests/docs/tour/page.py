"""Makes `docs/errors.md` from the outputs of the tour."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.docs.tour import (
    cases_commands,
    cases_gateway,
    cases_programs,
    cases_runs,
    cases_settings,
    cases_team,
)
from tests.docs.tour.case import Case, Output, Section

PAGE = Path(__file__).parents[3] / "docs" / "errors.md"

SECTIONS: list[Section] = [
    *cases_team.SECTIONS,
    *cases_commands.SECTIONS,
    *cases_settings.SECTIONS,
    *cases_runs.SECTIONS,
    *cases_programs.SECTIONS,
    *cases_gateway.SECTIONS,
]
CASES: list[Case] = [case for section in SECTIONS for case in section.cases]

HEAD = """\
# Errors

<!-- Made by `python -m tests.docs.tour`, which provokes every error. Do not edit. -->

Every error says what happened, to what (a file and its line, a field and its value, a run, an
address), and what to do. Each one below was really provoked, and a test checks its text. Addresses,
times and keys, which differ from machine to machine, are replaced by fixed ones.

[Commands](commands.md) lists the exit codes, [failures](failures.md) what happens after an error
inside a run, and [the gateway](gateway.md) what it serves.
"""


def errors_page(outputs: Sequence[Output]) -> str:
    parts = [HEAD]
    texts = iter(outputs)
    for section in SECTIONS:
        parts += [f"## {section.title}", ""]
        parts += [section.about, ""] if section.about else []
        for case in section.cases:
            parts += _case(case, next(texts))
    return "\n".join(parts)


def _case(case: Case, output: Output) -> Iterator[str]:
    yield from (f"**{case.title}.**", "", "```")
    env = "".join(f"{name}={shlex.quote(value)} " for name, value in _shown_env(case))
    is_request = case.command.split(" ")[0] in ("GET", "POST", "PATCH", "DELETE")
    yield f"{'' if is_request else '$ '}{env}{_short(case.command)}"
    yield from _part(output.text.splitlines(), case.part)[: case.first]
    yield from ("```", "", f"{'HTTP status' if is_request else 'Exit code'} {output.code}.", "")


def _part(lines: list[str], start: str) -> list[str]:
    begin = next((n for n, line in enumerate(lines) if line.startswith(start)), 0) if start else 0
    end = next((n for n in range(begin, len(lines)) if start and not lines[n]), len(lines))
    return lines[begin:end]


def _shown_env(case: Case) -> Iterator[tuple[str, str]]:
    """Leaves out what a case sets only for isolation, such as ports."""
    for name, value in case.env.items():
        quiet = name.endswith(("_PORT", "_KEY", "_SECRET")) and name not in " ".join(case.says)
        if not quiet and not (name == "UPSTREAM_URL" and "127.0.0.1:9" in value):
            yield name, value.replace("{here}/", "").replace("{taken}", "7233")


def _short(command: str) -> str:
    return command.replace("x" * 1_200, "x…x")
