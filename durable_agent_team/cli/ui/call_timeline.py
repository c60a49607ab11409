"""Pure: when each call of a run was made, as data and as SVG."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from durable_agent_team.cli.output import clip, duration_text, usd
from durable_agent_team.client.recorded_calls import RecordedCall
from durable_agent_team.client.run_history import RunRecord
from durable_agent_team.client.tool_views import asks_for_conversation
from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.run import RunReport
from durable_agent_team.rules.safe_text import html_text

ROW, COMPACT_ROW, TOP = 30, 6, 26
MOST_NAMED, MOST_ROWS = 100, 1_000
"""Rows with a name, and rows at all."""
MOST_TICKS = 6
STEPS = (
    *(0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800),
    *(hours * 3_600 for hours in (1, 2, 3, 6, 12, 24, 48, 7 * 24, 14 * 24, 28 * 24, 91 * 24)),
)
"""Seconds between two ticks of the axis."""
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
    sent = (call for call in record.calls if not asks_for_conversation(call))
    bars = [_bar(call, report.ended_at) for call in sent]
    return tuple(sorted(bars, key=lambda bar: bar.started_at))


def timeline_svg(bars: Sequence[CallBar], report: RunReport) -> str:
    """A row for each task, a bar for each call. As wide as the page: places are in per cent."""
    names = list(dict.fromkeys(bar.task for bar in bars))
    rows = {task: number for number, task in enumerate(names[:MOST_ROWS])}
    named = len(rows) <= MOST_NAMED
    row = ROW if named else COMPACT_ROW
    height = TOP + row * len(rows) + 8
    whole = max((report.ended_at - report.started_at).total_seconds(), 0.001)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="{height}" role="img"'
        ' font-family="sans-serif" font-size="12"><title>When each call was made</title>'
    ]
    for at in ticks(whole):
        x = f"{100 * at / whole:.2f}%"
        anchor = "start" if not at else "end" if at > 0.93 * whole else "middle"
        parts.append(
            f'<line class="tick" x1="{x}" y1="{TOP - 8}" x2="{x}" y2="{height}" stroke="#ddd"/>'
            f'<text class="axis" x="{x}" y="12" text-anchor="{anchor}" fill="#666">'
            f"{tick_text(at)}</text>"
        )
    if named:
        for task, place in rows.items():
            y = TOP + place * row + 11
            parts.append(f'<text class="t" x="0" y="{y}">{html_text(clip(task, 40))}</text>')
    for bar in bars:
        if bar.task in rows:
            parts.append(_drawn(bar, report, whole, TOP + rows[bar.task] * row, named))
    return "\n".join([*parts, "</svg>"])


def ticks(whole: float) -> list[float]:
    """Round times from 0 to the end, in seconds: at most `MOST_TICKS` after the first."""
    step = next((each for each in STEPS if whole / each <= MOST_TICKS), None)
    if step is None:
        step = STEPS[-1] * -(-whole // (STEPS[-1] * MOST_TICKS))
    return [round(step * number, 1) for number in range(int(whole / step + 1e-9) + 1)]


def tick_text(seconds: float) -> str:
    """Such as 0, 0.5 s, 30 s, 1 m 30 s, 2 h, 3 d."""
    if seconds != int(seconds):
        return f"{seconds:g} s"
    left, parts = int(seconds), []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")):
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts) or "0"


def not_drawn(bars: Sequence[CallBar]) -> int:
    """How many tasks have no row."""
    return max(len({bar.task for bar in bars}) - MOST_ROWS, 0)


def _drawn(bar: CallBar, report: RunReport, whole: float, top: int, named: bool) -> str:
    start = min(max((bar.started_at - report.started_at).total_seconds() / whole, 0), 1)
    seconds = (bar.ended_at - bar.started_at).total_seconds()
    length = max(min(seconds / whole, 1 - start), 0.003)
    start = min(start, 1 - length)
    y, tall = (top + 15, 11) if named else (top + 1, 4)
    return (
        f'<rect class="b-{bar.outcome}" x="{100 * start:.2f}%" y="{y}" width="{100 * length:.2f}%"'
        f' height="{tall}" rx="2" fill="{COLOURS[bar.outcome]}"><title>{html_text(bar.task)}'
        f" ({html_text(bar.agent)}): {bar.outcome}, {duration_text(seconds)}, {usd(bar.usd)} USD"
        "</title></rect>"
    )


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
