"""Pure: a plan with its states as SVG; a plan that is too large for lines, as an overview."""

from collections.abc import Sequence
from itertools import groupby, pairwise

from durable_agent_team.cli.output import clip_middle, flat
from durable_agent_team.cli.ui.graph_drawing import COLOURS, PLAIN, Graph, Node, label_of, state_of
from durable_agent_team.cli.ui.graph_layers import layered
from durable_agent_team.cli.ui.graph_layout import Point, lanes_of, layout
from durable_agent_team.cli.word_wrap import cells
from durable_agent_team.rules.counts import counted
from durable_agent_team.rules.safe_text import html_text

BOX_HEIGHT = 58
LEAST_WIDTH, MOST_WIDTH = 190, 420
PAD = 8
NAME_SIZE, SMALL_SIZE = 13, 11
"""Pixels of a letter's em: of a task's name, which is bold, and of what is below it."""
NARROW = {**dict.fromkeys("ijl.,:|!' ", 0.4), **dict.fromkeys("frt-()", 0.5)}
WIDE = {**dict.fromkeys("mMW@%", 1.11), **dict.fromkeys("wGOQ", 0.93)}
LETTER = 0.73
"""Shares of the em that bold letters take in DejaVu Sans and Verdana, which are wide, and stand for
`sans-serif` on many systems; other letters mostly as small ones do, capitals a little more."""
MOST_TASKS, MOST_LANES = 150, 900
"""Beyond these nobody can follow a line any more."""
SQUARE, IN_A_ROW = 12, 60


def is_drawn(graph: Graph) -> bool:
    """Whether the picture has every task as a box, and every dependency as a line."""
    return len(graph.nodes) <= MOST_TASKS and lanes_of(graph.nodes) <= MOST_LANES


def graph_svg(graph: Graph) -> str:
    """Tasks in columns by their depth, dependencies to the left. No line runs behind a box."""
    return _boxes(graph) if is_drawn(graph) else _overview(graph)


def _boxes(graph: Graph) -> str:
    longest = max((_longest(node) for node in graph.nodes), default=0)
    width = min(max(longest + 2 * PAD, LEAST_WIDTH), MOST_WIDTH)
    drawn = layout(graph.nodes, width, BOX_HEIGHT)
    parts = [svg_start(drawn.width, drawn.height, "The plan")]
    parts += [_edge(before, after, points) for before, after, points in drawn.edges]
    parts += [_box(node, width, *drawn.boxes[node.id]) for node in graph.nodes]
    return "\n".join([*parts, "</svg>"])


def _edge(before: str, after: str, points: Sequence[Point]) -> str:
    """Curves in the gaps between columns, straight lines past the boxes of a column."""
    steps = [f"M{points[0][0]:.0f} {points[0][1]:.1f}"]
    for place, ((x1, y1), (x2, y2)) in enumerate(pairwise(points)):
        if place % 2:
            steps.append(f"H{x2:.0f}")
        else:
            middle = (x1 + x2) / 2
            steps.append(f"C{middle:.0f} {y1:.1f} {middle:.0f} {y2:.1f} {x2:.0f} {y2:.1f}")
    title = html_text(f"{before} → {after}")
    line = f'<path class="e" d="{" ".join(steps)}" fill="none" stroke="#888">'
    return f"{line}<title>{title}</title></path>"


def _box(node: Node, width: float, x: float, y: float, height: float) -> str:
    colour = COLOURS.get(node.status, PLAIN) if node.status else PLAIN
    name = f"s-{node.status.value}" if node.status else "s-plain"
    middle = y + height / 2
    room = width - 2 * PAD
    return (
        f"<g><title>{html_text(node.id)}: {html_text(label_of(node))}</title>"
        f'<rect class="{name}" x="{x:.0f}" y="{y:.1f}" width="{width:.0f}" height="{height:.1f}"'
        f' rx="6" fill="{colour}"/>'
        f'<g class="t" fill="#222"><text x="{x + PAD:.0f}" y="{middle - 10:.1f}"'
        ' font-weight="bold">'
        f"{html_text(_fitting(node.id, NAME_SIZE, room))}</text>"
        f'<text x="{x + PAD:.0f}" y="{middle + 6:.1f}" font-size="{SMALL_SIZE}">'
        f"{html_text(_fitting(flat(node.agent), SMALL_SIZE, room))}</text>"
        f'<text x="{x + PAD:.0f}" y="{middle + 21:.1f}" font-size="{SMALL_SIZE}">'
        f"{html_text(_fitting(state_of(node), SMALL_SIZE, room))}</text></g></g>"
    )


def _longest(node: Node) -> float:
    """Pixels of the longest line in its box."""
    return max(
        _pixels(node.id, NAME_SIZE),
        _pixels(flat(node.agent), SMALL_SIZE),
        _pixels(state_of(node), SMALL_SIZE),
    )


def _pixels(text: str, size: int) -> float:
    """How wide a text is at most, in any usual font."""
    return size * sum(_share(letter) for letter in text)


def _share(letter: str) -> float:
    if letter in NARROW:
        return NARROW[letter]
    if letter.isascii():
        return WIDE.get(letter, LETTER + 0.12 * letter.isupper())
    return 0.5 * (1 + cells(letter))


def _fitting(text: str, size: int, room: float) -> str:
    letters = len(text)
    while _pixels(shown := clip_middle(text, letters), size) > room and letters > 1:
        letters -= 1
    return shown


def _overview(graph: Graph) -> str:
    """A square for each task, a block of them for each depth."""
    parts: list[str] = []
    y = 0
    pitch = SQUARE + 3
    for depth, pairs in groupby(layered(graph.nodes), key=lambda pair: pair[1]):
        nodes = [node for node, _ in pairs]
        what = f"step {depth + 1}: {counted(len(nodes), 'task')}"
        parts.append(f'<text class="t" x="0" y="{y + 14}" font-size="12">{what}</text>')
        y += 20
        for place, node in enumerate(nodes):
            colour = COLOURS.get(node.status, PLAIN) if node.status else PLAIN
            name = f"s-{node.status.value}" if node.status else "s-plain"
            parts.append(
                f'<rect class="{name}" x="{place % IN_A_ROW * pitch}"'
                f' y="{y + place // IN_A_ROW * pitch}" width="{SQUARE}" height="{SQUARE}" rx="2"'
                f' fill="{colour}"><title>{html_text(node.id)}: {html_text(label_of(node))}</title>'
                "</rect>"
            )
        y += -(-len(nodes) // IN_A_ROW) * pitch + 8
    return "\n".join([svg_start(IN_A_ROW * pitch, y, "The plan"), *parts, "</svg>"])


def svg_start(width: float, height: float, title: str) -> str:
    """As large as it is drawn: a wide plan is scrolled, so that its letters stay readable."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}"'
        f' width="{width:.0f}" height="{height:.0f}" role="img" font-family="sans-serif"'
        f' font-size="13"><title>{html_text(title)}</title>'
    )
