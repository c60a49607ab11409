"""The Markdown of a report: answer, graph, tasks, money and timeline."""

from collections.abc import Iterable, Sequence

from durable_agent_team.cli.json_layout import laid_out
from durable_agent_team.cli.output import clip, duration_text, elapsed, usd
from durable_agent_team.cli.ui.graph_drawing import graph_mermaid, graph_of_tasks, graph_text
from durable_agent_team.cli.ui.graph_picture import is_drawn
from durable_agent_team.cli.ui.report_facts import (
    MONEY_HEAD,
    RunFile,
    Trouble,
    handoff_title,
    head_of,
    money_rows,
    pairs_of,
    task_facts,
    task_line,
    troubles_heading,
    troubles_of,
)
from durable_agent_team.cli.ui.report_tasks import TaskSheet
from durable_agent_team.cli.ui.spend_table import money_notes
from durable_agent_team.contracts.run import RunReport, TaskOutcome
from durable_agent_team.rules.safe_text import (
    markdown_block,
    markdown_code,
    markdown_fence,
    markdown_line,
)

TIMES_HEAD = ("task", "agent", "start", "took", "outcome", "USD")


def markdown_page(found: RunFile) -> str:
    report = found.report
    parts = [f"# {markdown_line(f'{report.team}: {clip(report.goal, 200)}')}", ""]
    parts += _list(f"{name}: {value}" for name, value in head_of(report))
    if troubles := troubles_of(report):
        parts += ["", f"## {troubles_heading(report)}", ""]
        parts += [line for each in troubles for line in _trouble(each)]
    parts += ["", "## Answer", "", _text(report.answer or "(none)")]
    parts += ["", "## Graph", "", *_graph(report)]
    parts += ["", "## Tasks"]
    for outcome, sheet in pairs_of(found):
        parts += ["", *_task(report, outcome, sheet)]
    parts += ["", "## Money", "", *_table(MONEY_HEAD, money_rows(report)), ""]
    parts += _list(money_notes(report.spend))
    parts += ["", "## Timeline", "", *_table(TIMES_HEAD, _times(found))]
    return "\n".join([*parts, ""])


def _trouble(trouble: Trouble) -> list[str]:
    lines = [f"- {markdown_line(clip(trouble.text, 2_000))}"]
    if trouble.remedy:
        lines.append(f"  - What to do: {markdown_line(trouble.remedy)}")
    return lines + [f"  - {markdown_code(command)}" for command in trouble.commands]


def _graph(report: RunReport) -> list[str]:
    """GitHub draws no flowchart of more than some hundred lines."""
    graph = graph_of_tasks(report.workflow_id, [outcome.task for outcome in report.outcomes])
    if is_drawn(graph):
        return ["```mermaid", graph_mermaid(graph), "```"]
    return [markdown_fence(graph_text(graph))]


def _task(report: RunReport, outcome: TaskOutcome, sheet: TaskSheet) -> list[str]:
    task = outcome.task
    lines = [f"### {markdown_line(task.id)}", ""]
    lines += _list([task_line(report, outcome)])
    lines += _list(f"{name}: {value}" for name, value in task_facts(outcome, sheet))
    if sheet.ask is not None:
        lines += ["", "Ask:", "", markdown_block(sheet.ask.strip())]
    if outcome.output is not None:
        lines += ["", f"{handoff_title(outcome)}:", "", _text(outcome.output)]
    return lines


def _times(found: RunFile) -> list[tuple[str, ...]]:
    began = found.report.started_at
    return [
        (
            bar.task,
            bar.agent,
            f"+{duration_text((bar.started_at - began).total_seconds())}",
            elapsed(bar.started_at, bar.ended_at),
            bar.outcome,
            usd(bar.usd),
        )
        for bar in found.timeline
    ]


def _text(text: str) -> str:
    """JSON as a block of code, anything else as paragraphs."""
    laid = laid_out(text)
    return markdown_block(text.strip()) if laid is None else markdown_fence(laid, "json")


def _list(lines: Iterable[str]) -> list[str]:
    return [f"- {markdown_line(line)}" for line in lines]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    body = [head, ["---"] * len(head), *([markdown_line(cell) for cell in row] for row in rows)]
    return [f"| {' | '.join(row)} |" for row in body]
