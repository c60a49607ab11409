"""Pure: a plan with its states and amounts, as text, Mermaid and SVG."""

from collections.abc import Sequence
from decimal import Decimal

from durable_agent_team.cli.output import clip, usd
from durable_agent_team.cli.ui.graph_layers import layered
from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.run import TaskState, TaskStatus
from durable_agent_team.rules.safe_text import html_text, mermaid_text, one_line

COLOURS = {
    TaskStatus.RUNNING: "#7cc4f0",
    TaskStatus.READY: "#cfe8f7",
    TaskStatus.PARKED: "#f4c95d",
    TaskStatus.DONE: "#9bd6a3",
    TaskStatus.SKIPPED: "#e3d9a8",
    TaskStatus.FAILED: "#f19a92",
    TaskStatus.BLOCKED: "#f3c6c1",
    TaskStatus.CANCELLED: "#d8cfa0",
}
PLAIN = "#e8e8e8"
MAX_ORIGIN = 60
"""Characters of a run's id in the label of a task."""
BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y = 220, 46, 50, 14
MIN_SCALE = 0.6
"""A wide plan is scaled down to the page, but stays readable; below this it is scrolled."""


class Node(Message):
    """One task. `usd` is its cost; in a team file, the most it can cost."""

    id: str
    agent: str
    depends_on: tuple[str, ...]
    status: TaskStatus | None = None
    usd: Decimal | None = None
    reused_from: str | None = None
    """The run that made and paid its hand-off."""
    reused_usd: Decimal | None = None


class Graph(Message):
    """The output of `graph --json`."""

    name: str
    nodes: tuple[Node, ...]


def graph_of_tasks(name: str, tasks: Sequence[TaskState]) -> Graph:
    """The graph of a run."""
    nodes = tuple(
        Node(
            id=t.id,
            agent=t.agent,
            depends_on=t.depends_on,
            status=t.status,
            usd=t.spent_usd,
            **({"reused_from": t.reused_from, "reused_usd": t.reused_usd} if t.reused_from else {}),
        )
        for t in tasks
    )
    return Graph(name=name, nodes=nodes)


def graph_text(graph: Graph) -> str:
    """One line for each task, indented by its depth."""
    lines = [one_line(graph.name)]
    for node, depth in layered(graph.nodes):
        after = f" <- {', '.join(node.depends_on)}" if node.depends_on else ""
        text = f"{node.id} ({_label(node)}){after}"
        lines.append(f"{'  ' * (depth + 1)}{one_line(text)}")
    return "\n".join(lines)


def graph_mermaid(graph: Graph) -> str:
    """A flowchart in Mermaid, which GitHub and editors render."""
    names = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        text = f"{mermaid_text(node.id)}<br/>{mermaid_text(_label(node))}"
        lines.append(f'  {names[node.id]}["{text}"]')
    for node in graph.nodes:
        lines += [
            f"  {names[each]} --> {names[node.id]}" for each in node.depends_on if each in names
        ]
    for status in COLOURS:
        shown = [names[node.id] for node in graph.nodes if node.status is status]
        if shown:
            lines.append(f"  classDef {status.value} fill:{COLOURS[status]},color:#222")
            lines.append(f"  class {','.join(shown)} {status.value}")
    return "\n".join(lines)


def graph_svg(graph: Graph) -> str:
    """Tasks in columns by their depth, dependencies to the left."""
    places: dict[str, tuple[int, int]] = {}
    heights: dict[int, int] = {}
    for node, depth in layered(graph.nodes):
        row = heights[depth] = heights.get(depth, -1) + 1
        places[node.id] = (depth * (BOX_WIDTH + GAP_X), row * (BOX_HEIGHT + GAP_Y))
    width = (max(heights, default=0) + 1) * (BOX_WIDTH + GAP_X)
    height = (max(heights.values(), default=0) + 1) * (BOX_HEIGHT + GAP_Y)
    parts = [_svg(width, height, "The plan")]
    for node in graph.nodes:
        x, y = places[node.id]
        for each in node.depends_on:
            if each in places:
                parts.append(_edge(places[each], (x, y)))
    parts += [_box(node, *places[node.id]) for node in graph.nodes]
    return "\n".join([*parts, "</svg>"])


def _label(node: Node) -> str:
    parts = [node.agent]
    if node.status is not None:
        parts.append(node.status.value)
    if node.reused_from is not None:
        parts.append(f"{usd(node.reused_usd)} USD in {clip(node.reused_from, MAX_ORIGIN)}")
    elif node.usd is not None:
        parts.append(f"{'' if node.status else 'at most '}{usd(node.usd)} USD")
    return " · ".join(parts)


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + BOX_WIDTH, start[1] + BOX_HEIGHT // 2
    x2, y2 = end[0], end[1] + BOX_HEIGHT // 2
    middle = (x1 + x2) // 2
    return (
        f'<path d="M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}" fill="none" stroke="#888"/>'
    )


def _box(node: Node, x: int, y: int) -> str:
    colour = COLOURS.get(node.status, PLAIN) if node.status else PLAIN
    return (
        f"<g><title>{html_text(node.id)}: {html_text(_label(node))}</title>"
        f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" fill="{colour}"/>'
        f'<text x="{x + 8}" y="{y + 19}" font-weight="bold">{html_text(clip(node.id, 26))}</text>'
        f'<text x="{x + 8}" y="{y + 36}" font-size="11">{html_text(clip(_label(node), 38))}</text>'
        "</g>"
    )


def _svg(width: int, height: int, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" style="max-width:max(100%,{width * MIN_SCALE:.0f}px);height:auto"'
        ' role="img" font-family="sans-serif" font-size="13">'
        f"<title>{html_text(title)}</title>"
    )
