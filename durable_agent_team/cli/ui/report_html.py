"""The HTML of a report: one file that loads nothing, for a phone and a desk, by day and by night.

Whatever an agent wrote is text, never markup.
"""

import re
from collections.abc import Sequence

from durable_agent_team.cli.json_layout import laid_out
from durable_agent_team.cli.output import clip, usd
from durable_agent_team.cli.ui.call_timeline import not_drawn, timeline_svg
from durable_agent_team.cli.ui.graph_drawing import graph_of_tasks
from durable_agent_team.cli.ui.graph_picture import graph_svg, is_drawn
from durable_agent_team.cli.ui.report_facts import (
    MONEY_HEAD,
    RunFile,
    handoff_title,
    head_of,
    money_rows,
    pairs_of,
    task_facts,
    task_line,
    troubles_heading,
    troubles_of,
)
from durable_agent_team.cli.ui.report_style import STYLE
from durable_agent_team.cli.ui.report_tasks import TaskSheet
from durable_agent_team.cli.ui.spend_table import money_notes
from durable_agent_team.contracts.run import RunReport, TaskOutcome
from durable_agent_team.rules.counts import more
from durable_agent_team.rules.safe_text import html_text

OPEN_UP_TO = 12
"""A plan of so few tasks is shown with every task unfolded."""


def html_page(found: RunFile) -> str:
    report = found.report
    title = html_text(f"{report.team}: {clip(report.goal, 200)}")
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{title}</title><style>{STYLE}</style></head><body>",
            f"<h1>{title}</h1>",
            _facts(head_of(report), report.status.value),
            _troubles(report),
            f"<h2>Answer</h2>{_text(report.answer or '(none)', 'answer')}",
            _graph(report),
            _tasks(found),
            f"<h2>Money</h2>{_table(MONEY_HEAD, money_rows(report), numbers=2)}",
            f"<ul>{''.join(f'<li>{html_text(x)}</li>' for x in money_notes(report.spend))}</ul>",
            _timeline(found),
            "</body></html>",
            "",
        ]
    )


def _facts(facts: Sequence[tuple[str, str]], status: str = "") -> str:
    shown = (
        f"<div><dt>{html_text(name)}</dt><dd{_badge(value) if value == status else ''}>"
        f"{html_text(value)}</dd></div>"
        for name, value in facts
    )
    return f"<dl>{''.join(shown)}</dl>"


def _badge(status: str) -> str:
    return f' class="st st-{html_text(status.replace(" ", "-"))}"'


def _troubles(report: RunReport) -> str:
    troubles = troubles_of(report)
    if not troubles:
        return ""
    items = (
        f'<li><p class="failed">{html_text(each.text)}</p>'
        + (f"<p>What to do: {_with_code(each.remedy)}</p>" if each.remedy else "")
        + "".join(f'<pre class="cmd">{html_text(command)}</pre>' for command in each.commands)
        + "</li>"
        for each in troubles
    )
    return f'<h2>{troubles_heading(report)}</h2><ul class="troubles">{"".join(items)}</ul>'


def _with_code(text: str) -> str:
    """A text of ours: what is in backquotes is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html_text(text))


def _text(text: str, name: str = "") -> str:
    """JSON laid out, in letters of one width; prose as it is written, with its line breaks."""
    laid = laid_out(text)
    kind = "prose" if laid is None else "json"
    return f'<pre class="{kind} {name}">{html_text(laid or text.strip())}</pre>'


def _graph(report: RunReport) -> str:
    graph = graph_of_tasks(report.workflow_id, [outcome.task for outcome in report.outcomes])
    note = ""
    if not is_drawn(graph):
        edges = sum(len(node.depends_on) for node in graph.nodes)
        note = (
            f"<p>{len(graph.nodes)} tasks with {edges} dependencies are too many to draw as lines:"
            " a square is a task, in the order of the steps; each task below says what it is"
            " after.</p>"
        )
    return f"<h2>Graph</h2>{note}<figure>{graph_svg(graph)}</figure>"


def _tasks(found: RunFile) -> str:
    pairs = pairs_of(found)
    unfold = len(pairs) <= OPEN_UP_TO
    return "<h2>Tasks</h2>" + "\n".join(_task(found.report, *pair, unfold=unfold) for pair in pairs)


def _task(report: RunReport, outcome: TaskOutcome, sheet: TaskSheet, *, unfold: bool) -> str:
    task = outcome.task
    is_open = " open" if unfold or task.failure is not None else ""
    ask = f"<h4>Ask</h4>{_text(sheet.ask)}" if sheet.ask is not None else ""
    output = ""
    if outcome.output is not None:
        output = f"<h4>{handoff_title(outcome)}</h4>{_text(outcome.output)}"
    return (
        f"<details{is_open}><summary><b>{html_text(task.id)}</b>"
        f" <span{_badge(task.status.value)}>{html_text(task.status.value)}</span>"
        f" <small>{html_text(task_line(report, outcome))}</small></summary>"
        f"{ask}{_facts(task_facts(outcome, sheet))}{output}</details>"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> str:
    """On a narrow screen each row is a block, and each cell has its column's name before it."""
    heads = "".join(
        f"<th{' class=n' if place >= numbers else ''}>{html_text(cell)}</th>"
        for place, cell in enumerate(head)
    )
    lines = (
        "<tr>"
        + "".join(
            f'<td{" class=n" if place >= numbers else ""} data-label="{html_text(head[place])}">'
            f"{html_text(cell)}</td>"
            for place, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _timeline(found: RunFile) -> str:
    left = not_drawn(found.timeline)
    note = f" {more(left, 'task is', 'tasks are')} in the JSON report." if left else ""
    spent = usd(found.report.spend.total.spent_usd)
    return (
        f"<h2>Timeline</h2><figure>{timeline_svg(found.timeline, found.report)}</figure>"
        f"<p>A bar is a call, {spent} USD in all."
        ' <i class="key b-good"></i> good <i class="key b-rejected"></i> failed its checks'
        f' <i class="key b-failed"></i> failed.{note}</p>'
    )
