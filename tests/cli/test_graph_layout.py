"""In the picture of a plan every box and every dependency can be seen."""

import itertools
import xml.etree.ElementTree as ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from durable_agent_team.cli.ui.graph_drawing import Graph, Node
from durable_agent_team.cli.ui.graph_layout import GAP_X, layout
from durable_agent_team.cli.ui.graph_picture import graph_svg

WIDTH, HEIGHT = 200, 58
GRAPHS = st.lists(st.sets(st.integers(0, 50), max_size=5), max_size=40).map(
    lambda rows: [
        Node(id=f"t{n}", agent="a", depends_on=tuple(f"t{d}" for d in sorted(after) if d < n))
        for n, after in enumerate(rows)
    ]
)


def fan(size: int) -> list[Node]:
    """Many tasks, and one that waits for all of them; a chain beside them."""
    many = [Node(id=f"t{n}", agent="a", depends_on=()) for n in range(size)]
    chain = [Node(id=f"c{n}", agent="a", depends_on=(f"c{n - 1}",)[:n]) for n in range(5)]
    needs = tuple(node.id for node in (*many, *chain))
    return [*many, *chain, Node(id="end", agent="a", depends_on=needs)]


@settings(max_examples=60, deadline=None)
@given(GRAPHS)
def test_no_line_is_hidden(nodes: list[Node]) -> None:
    check(nodes)


def test_no_line_is_hidden_where_one_task_waits_for_all() -> None:
    check(fan(40))


def check(nodes: list[Node]) -> None:
    drawn = layout(nodes, WIDTH, HEIGHT)
    assert {(a, b) for a, b, _ in drawn.edges} == {(d, n.id) for n in nodes for d in n.depends_on}
    columns: dict[float, list[tuple[float, float]]] = {}
    for left, top, height in drawn.boxes.values():
        assert top >= 0
        assert top + height <= drawn.height
        assert left + WIDTH <= drawn.width
        columns.setdefault(left, []).append((top, top + height))
    for boxes in columns.values():
        boxes.sort()
        assert all(end < start for (_, end), (start, _) in itertools.pairwise(boxes))
    places: list[tuple[float, float]] = []
    for before, after, points in drawn.edges:
        (x, y), (left, top, height) = points[0], drawn.boxes[before]
        assert (x, top < y < top + height) == (left + WIDTH, True)
        (x, y), (left, top, height) = points[-1], drawn.boxes[after]
        assert (x, top < y < top + height) == (left, True)
        for (x1, y1), (x2, y2) in zip(points[1:-1:2], points[2:-1:2], strict=True):
            assert (x2 - x1, y2) == (WIDTH, y1), "past the boxes of a column it runs straight"
            assert not any(top <= y1 <= end for top, end in columns[x1]), "and not behind one"
        assert all(b[0] - a[0] == GAP_X for a, b in zip(points[::2], points[1::2], strict=True))
        places += points
    assert len({(x, round(y, 3)) for x, y in places}) == len(places), "no line covers another"


def test_a_plan_of_five_thousand_tasks_is_an_overview() -> None:
    nodes = [Node(id=f"t{n}", agent="a", depends_on=(f"t{n // 2}",)[:n]) for n in range(5_000)]
    root = ElementTree.fromstring(graph_svg(Graph(name="big", nodes=tuple(nodes))))
    rects = root.findall(".//{*}rect")
    assert len({(each.get("x"), each.get("y")) for each in rects}) == 5_000
    assert float(root.get("width", "0")) < 1_000
    assert len(root.findall(".//{*}path")) == 0
