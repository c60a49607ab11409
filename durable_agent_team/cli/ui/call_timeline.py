"""Pure: when each call of a run was made, as data and as SVG."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from durable_agent_team.cli.output import clip, duration_text, usd
from durable_agent_team.client.run_history import RecordedCall, RunRecord
from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.run import RunReport
from durable_agent_team.rules.safe_text import html_text

LABEL_WIDTH, BARS_WIDTH, ROW, TOP = 170, 700, 20, 22
COLOURS = {"good": "#5aa469", "rejected": "#e0a030", "failed": "#d9534f"}


class CallBar(Message):
    """One call: its task, its time and its outcome."""

    task: str
    agent: str
    started_at: datetime
    ended_at: datetime
    outcome: str
    """`good`, `rejected` (its answer failed the checks) or `failed`."""
    usd: Decimal | None


def bars_of(record: RunRecord, report: RunReport) -> tuple[CallBar, ...]:
    """Every call, sorted by its start."""
    bars = [_bar(call, report.ended_at) for call in record.calls]
    return tuple(sorted(bars, key=lambda bar: bar.started_at))


def timeline_svg(bars: Sequence[CallBar], report: RunReport) -> str:
    """A row for each task, a bar for each call."""
    rows = {task: number for number, task in enumerate(dict.fromkeys(bar.task for bar in bars))}
    width, height = LABEL_WIDTH + BARS_WIDTH + 20, TOP + ROW * len(rows) + 10
    whole = max((report.ended_at - report.started_at).total_seconds(), 0.001)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" role="img" font-family="sans-serif" font-size="12">'
        "<title>When each call was made</title>"
    ]
    for quarter in range(5):
        x = LABEL_WIDTH + BARS_WIDTH * quarter // 4
        parts.append(f'<line x1="{x}" y1="{TOP - 4}" x2="{x}" y2="{height}" stroke="#ddd"/>')
        label = duration_text(whole * quarter / 4)
        anchor = "end" if quarter == 4 else "middle"
        parts.append(f'<text x="{x}" y="12" text-anchor="{anchor}" fill="#666">{label}</text>')
    for task, row in rows.items():
        y = TOP + row * ROW + 13
        parts.append(f'<text x="0" y="{y}">{html_text(clip(task, 24))}</text>')
    for bar in bars:
        start = (bar.started_at - report.started_at).total_seconds() / whole
        length = (bar.ended_at - bar.started_at).total_seconds() / whole
        x1 = LABEL_WIDTH + BARS_WIDTH * min(max(start, 0), 1)
        wide = max(BARS_WIDTH * min(length, 1 - min(max(start, 0), 1)), 2)
        took = duration_text((bar.ended_at - bar.started_at).total_seconds())
        parts.append(
            f'<rect x="{x1:.1f}" y="{TOP + rows[bar.task] * ROW + 2}" width="{wide:.1f}"'
            f' height="{ROW - 6}" rx="2" fill="{COLOURS[bar.outcome]}"><title>{html_text(bar.task)}'
            f" ({html_text(bar.agent)}): {bar.outcome}, {took}, {usd(bar.usd)} USD</title></rect>"
        )
    return "\n".join([*parts, "</svg>"])


def _bar(call: RecordedCall, ended: datetime) -> CallBar:
    start, end = call.scheduled_at, call.ended_at or ended
    outcome = "failed"
    if call.result is not None:
        start = call.result.started_at
        end = start + timedelta(seconds=call.result.seconds)
        outcome = "rejected" if call.result.reasons else "good"
    return CallBar(
        task=call.request.task,
        agent=call.request.account.agent,
        started_at=start,
        ended_at=max(end, start),
        outcome=outcome,
        usd=call.cost_usd,
    )
