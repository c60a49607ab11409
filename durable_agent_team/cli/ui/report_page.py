"""The file that `report` writes: answer, graph, money and timeline, as HTML, Markdown or JSON."""

from collections.abc import Callable, Iterable, Sequence

from durable_agent_team.cli.output import clip, duration_text, elapsed, usd
from durable_agent_team.cli.ui.call_timeline import CallBar, timeline_svg
from durable_agent_team.cli.ui.graph_drawing import graph_mermaid, graph_of_tasks, graph_svg
from durable_agent_team.cli.ui.run_tables import (
    AGREEMENT,
    failure_lines,
    failure_text,
    money_notes,
    possibly_billed_text,
)
from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.run import RunReport
from durable_agent_team.rules.safe_text import html_text, markdown_block, markdown_line

STYLE = """\
body{font:15px/1.5 sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse}td,th{border-bottom:1px solid #ddd;padding:.2em .8em;text-align:left}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}pre{white-space:pre-wrap}
.answer{background:#f6f6f6;padding:1em;border-radius:6px}.failed{color:#b02a20}
figure{overflow-x:auto;margin:0}"""


class RunFile(Message):
    """What a report contains; a `.json` report as it is."""

    report: RunReport
    timeline: tuple[CallBar, ...]


def _head(report: RunReport) -> list[str]:
    took = elapsed(report.started_at, report.ended_at)
    lines = [
        f"Status: {report.status}",
        f"Started: {report.started_at:%Y-%m-%d %H:%M:%S} UTC, took {took}"
        f" (its calls one after the other: {duration_text(report.call_seconds)})",
        f"Spent: {usd(report.spend.total.spent_usd)} USD of"
        f" {usd(report.spend.total.budget_usd)} USD",
        f"Ledger: {usd(report.spend.ledger_usd)} USD, {AGREEMENT[report.spend.ledger_agrees]}",
    ]
    total = report.spend.total
    if total.possibly_billed_calls:
        given_up = possibly_billed_text(total.possibly_billed_calls, total.possibly_billed_usd)
        lines.append(given_up.capitalize())
    if report.cancel_reason is not None:
        lines.append(f"Cancelled: {report.cancel_reason or '(no reason given)'}")
    return lines


def _failed(report: RunReport) -> list[str]:
    failed = failure_lines([outcome.task for outcome in report.outcomes])
    return failed + ([f"the run: {failure_text(report.failure)}"] if report.failure else [])


MONEY_HEAD = ("agent", "model", "calls", "tokens", "spent USD", "budget USD")


def _money(report: RunReport) -> list[tuple[str, ...]]:
    return [
        (
            each.agent,
            each.model,
            str(each.calls),
            f"{each.prompt_tokens}+{each.completion_tokens}",
            usd(each.spent_usd),
            usd(each.budget_usd),
        )
        for each in report.spend.agents
    ]


TIMES_HEAD = ("task", "agent", "start", "took", "outcome", "USD")


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


def _markdown(found: RunFile) -> str:
    report = found.report
    graph = graph_of_tasks(report.workflow_id, [outcome.task for outcome in report.outcomes])
    parts = [f"# {markdown_line(f'{report.team}: {clip(report.goal, 200)}')}", ""]
    parts += _md_list((f"Run: {report.workflow_id}", *_head(report)))
    if failed := _failed(report):
        parts += ["", "## Failed", "", *_md_list(clip(line, 2_000) for line in failed)]
    parts += ["", "## Answer", "", markdown_block((report.answer or "(none)").strip())]
    parts += ["", "## Graph", "", "```mermaid", graph_mermaid(graph), "```"]
    parts += ["", "## Money", "", *_md_table(MONEY_HEAD, _money(report)), ""]
    parts += _md_list(money_notes(report.spend))
    parts += ["", "## Timeline", "", *_md_table(TIMES_HEAD, _times(found))]
    return "\n".join([*parts, ""])


def _md_list(lines: Iterable[str]) -> list[str]:
    return [f"- {markdown_line(line)}" for line in lines]


def _md_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    body = [head, ["---"] * len(head), *([markdown_line(cell) for cell in row] for row in rows)]
    return [f"| {' | '.join(row)} |" for row in body]


def _html(found: RunFile) -> str:
    """Nothing is loaded from elsewhere, and whatever an agent wrote is text, never markup."""
    report = found.report
    graph = graph_of_tasks(report.workflow_id, [outcome.task for outcome in report.outcomes])
    failed = "".join(f"<li>{html_text(line)}</li>" for line in _failed(report))
    notes = "".join(f"<li>{html_text(line)}</li>" for line in money_notes(report.spend))
    title = html_text(f"{report.team}: {clip(report.goal, 200)}")
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f"<title>{title}</title><style>{STYLE}</style></head><body>",
            f"<h1>{title}</h1><p>Run {html_text(report.workflow_id)}</p>",
            f"<ul>{''.join(f'<li>{html_text(line)}</li>' for line in _head(report))}</ul>",
            f'<h2>Failed</h2><ul class="failed">{failed}</ul>' if failed else "",
            f'<h2>Answer</h2><pre class="answer">{html_text(report.answer or "(none)")}</pre>',
            f"<h2>Graph</h2><figure>{graph_svg(graph)}</figure>",
            f"<h2>Money</h2>{_html_table(MONEY_HEAD, _money(report), 2)}<ul>{notes}</ul>",
            f"<h2>Timeline</h2><figure>{timeline_svg(found.timeline, report)}</figure>",
            "<p>A bar is a call. Green: good; amber: failed its checks; red: failed.</p>",
            "</body></html>",
            "",
        ]
    )


def _html_table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        shown = (
            f"<{tag}{' class=n' if place >= numbers else ''}>{html_text(cell)}</{tag}>"
            for place, cell in enumerate(cells)
        )
        return f"<tr>{''.join(shown)}</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


FORMATS: dict[str, Callable[[RunFile], str]] = {
    ".md": _markdown,
    ".html": _html,
    ".json": lambda found: found.model_dump_json(indent=2) + "\n",
}
"""How a report is written, by the ending of the file's name."""
