"""A team file as a start input: read, checked, every problem at once."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from durable_agent_team.cli.exit_codes import Code, CommandError
from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.spend import ModelCatalog
from durable_agent_team.rules.catalog import callers, field_of
from durable_agent_team.rules.estimate import CallBound, estimate
from durable_agent_team.rules.pydantic_messages import shown
from durable_agent_team.rules.validation import team_problems, team_warnings
from durable_agent_team.team_files.team_file import FileProblem, TeamFileError, load_team


class Finding(Message):
    """One line of `validate`: where it stands, what is wrong, what to do."""

    level: str
    file: str
    line: int | None
    field: str
    value: str
    what: str
    remedy: str


def parse_inputs(inputs: Sequence[str]) -> list[tuple[str, str]]:
    """`TASK=FILE` pairs; what is no pair ends the command."""
    wrong = [each for each in inputs if not all(each.partition("="))]
    if wrong:
        lines = [
            f"--input = {shown(each)}: not TASK=FILE (write --input market=news.md)"
            for each in wrong
        ]
        raise CommandError(Code.INPUT_WRONG, "\n".join(lines))
    return [(task, file) for task, _, file in (each.partition("=") for each in inputs)]


def load_request(path: Path, goal: str | None, inputs: Sequence[str]) -> RunRequest:
    """The start input, free of problems that can be seen without the gateway; or the end."""
    try:
        request = load_team(path, goal, parse_inputs(inputs))
    except TeamFileError as error:
        raise CommandError(Code.INPUT_WRONG, problem_text(error.problems)) from error
    problems = team_problems(request)
    if problems:
        raise CommandError(Code.INPUT_WRONG, problem_text(located(path, problems)))
    return request


def findings(
    path: Path, goal: str | None, inputs: Sequence[str], catalog: ModelCatalog | None
) -> tuple[list[Finding], RunRequest | None]:
    """Everything there is to say about a team file. The request, if the file could be read."""
    try:
        request = load_team(path, goal, parse_inputs(inputs))
    except TeamFileError as error:
        return [_finding("error", each) for each in error.problems], None
    errors = located(path, team_problems(request, catalog))
    warnings = located(path, team_warnings(request))
    if catalog is not None and not team_problems(request):
        warnings += located(path, _too_poor(request, catalog))
    return [
        *(_finding("error", each) for each in errors),
        *(_finding("warning", each) for each in warnings),
    ], request


def _too_poor(request: RunRequest, catalog: ModelCatalog) -> list[Problem]:
    """Agents whose limit is below the bound of one of their calls. The gateway's own bound is
    mostly a smaller one: it may pay for some of them, the others wait as soon as they start."""
    most: dict[str, CallBound] = {}
    for each in estimate(request, catalog).calls:
        known = most.get(each.agent)
        if each.calls and each.least_usd and (not known or each.least_usd > _least(known)):
            most[each.agent] = each
    return [
        Problem(
            field=f"{field_of(name)}.budget_usd",
            value=str(caller.budget_usd),
            what=f"may not pay one call ({most[name].subject}: up to {_least(most[name])} USD)",
            remedy="raise it, or lower max_tokens",
        )
        for name, caller in callers(request.team).items()
        if name in most and caller.budget_usd is not None and caller.budget_usd < _least(most[name])
    ]


def _least(bound: CallBound) -> Decimal:
    return bound.least_usd or Decimal(0)


def located(path: Path, problems: Sequence[Problem]) -> list[FileProblem]:
    return [FileProblem(str(path), None, each) for each in problems]


def problem_text(problems: Sequence[FileProblem]) -> str:
    count = len(problems)
    lines = [f"  {each}" for each in problems]
    return "\n".join([f"error: {count} problem{'s' if count != 1 else ''}", *lines])


def _finding(level: str, found: FileProblem) -> Finding:
    each = found.problem
    return Finding(
        level=level,
        file=found.file,
        line=found.line,
        field=each.field,
        value=each.value,
        what=each.what,
        remedy=each.remedy,
    )
