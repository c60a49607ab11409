"""`graph` and `report`."""

import json
import re
import xml.etree.ElementTree as ElementTree
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from temporalio.client import Client

from durable_agent_team.cli.ui.graph_drawing import (
    Graph,
    Node,
    graph_mermaid,
    graph_text,
)
from durable_agent_team.cli.ui.graph_picture import graph_svg
from durable_agent_team.cli.ui.report_facts import RunFile
from durable_agent_team.cli.ui.report_style import STYLE
from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.run import TaskStatus
from tests.cli.support import TEAM, Starter, lines, new_id, serving
from tests.cli.test_start_run import fail_prices
from tests.cli.test_validate_team import alone, gateway
from tests.support.fakes import FakeWorld
from tests.support.printed_commands import commands_in, parsed

__all__ = ["alone", "gateway"]

NASTY = 'end "of" <b>'
GRAPH = Graph(
    name="brief",
    nodes=(
        Node(id="end", agent=NASTY, depends_on=(), status=TaskStatus.DONE, usd=Decimal("0.01")),
        Node(id="a-b", agent="editor", depends_on=("end",), status=TaskStatus.PARKED),
        Node(id="a_b", agent="editor", depends_on=("end", "a-b")),
    ),
)


def test_a_graph_as_text_is_in_order() -> None:
    assert graph_text(GRAPH).splitlines() == [
        "brief",
        f"  end ({NASTY} · done · 0.010000 USD)",
        "    a-b (editor · parked) <- end",
        "      a_b (editor) <- end, a-b",
    ]


def test_mermaid_has_every_node_and_edge_and_no_stray_quote() -> None:
    text = graph_mermaid(GRAPH).splitlines()
    assert text[0] == "flowchart LR"
    assert '  n0["end<br/>end #quot;of#quot; #lt;b#gt; · done · 0.010000 USD"]' in text
    assert [line for line in text if "-->" in line] == [
        "  n0 --> n1", "  n0 --> n2", "  n1 --> n2",
    ]  # fmt: skip
    assert "  class n0 done" in text


def test_svg_is_well_formed_and_nothing_overlaps() -> None:
    root = ElementTree.fromstring(graph_svg(GRAPH))
    rects = root.findall(".//{*}rect")
    assert len({(each.get("x"), each.get("y")) for each in rects}) == 3
    assert len(root.findall(".//{*}path")) == 3


def test_names_stay_in_their_boxes_in_a_wide_font_and_differ_where_they_are_cut() -> None:
    """Widths are those of DejaVu Sans, which stands for `sans-serif` on most Linux desktops."""
    long = [f"task-with-a-long-name-and-the-number-{n:02}" for n in range(3)]
    tallest = "m" * 40
    nodes = [Node(id=each, agent="agent", depends_on=()) for each in long]
    root = ElementTree.fromstring(graph_svg(Graph(name="g", nodes=tuple(nodes))))
    widths = {float(each.get("width", "0")) for each in root.findall(".//{*}rect")}
    assert min(widths) >= 8 + 330, "39 letters of 13 pixels, bold, are 330 wide"
    shown = [each.text for each in root.findall(".//{*}text[@font-weight='bold']")]
    assert shown == long
    agent = Node(id="a", agent="the-agent-with-a-name-of-forty-letters-1", depends_on=())
    root = ElementTree.fromstring(graph_svg(Graph(name="g", nodes=(agent,))))
    [box] = root.findall(".//{*}rect")
    assert float(box.get("width", "0")) >= 8 + 242, "its agent is wider than its id"
    cut = tuple(Node(id=f"{tallest[:38]}{n}", agent="a", depends_on=()) for n in "12")
    root = ElementTree.fromstring(graph_svg(Graph(name="g", nodes=cut)))
    shown = [each.text for each in root.findall(".//{*}text[@font-weight='bold']")]
    assert len({*shown}) == 2
    assert all("…" in (each or "") for each in shown)


async def test_every_status_can_be_drawn() -> None:
    nodes = tuple(Node(id=s.value, agent="a", depends_on=(), status=s) for s in TaskStatus)
    graph = Graph(name="all", nodes=nodes)
    ElementTree.fromstring(graph_svg(graph))
    assert all(status.value in graph_mermaid(graph) for status in TaskStatus)


async def test_the_graph_of_a_team_shows_the_most_that_tasks_can_cost(
    alone: Starter, gateway: str
) -> None:
    file = alone.team(TEAM.replace("role: ", "model: small, role: "))
    ended = await alone("graph", file, ATXP_LLM_URL=gateway)
    assert ended.code == 0, ended.err
    assert any(x.strip().startswith("facts (research · at most 0.") for x in lines(ended.out))
    graph = Graph.model_validate_json((await alone("graph", file, "--json")).out)
    assert [node.depends_on for node in graph.nodes] == [(), (), ("facts", "prices")]
    assert (await alone("graph", file, "--mermaid")).out.startswith("flowchart LR\n")
    missing = await alone("graph", "absent.yaml")
    assert missing.code == 2
    assert "there is no file" in missing.err
    planned = alone.team(TEAM.partition("tasks:")[0], "planned.yaml")
    ended = await alone("graph", planned)
    assert (ended.code, ended.out) == (0, "")
    assert "the orchestrator plans" in ended.err


async def test_the_graph_of_a_run_shows_states_and_costs(starter: Starter, client: Client) -> None:
    run, world = new_id(), FakeWorld()
    async with serving(client, world):
        assert (await starter("run", starter.team(), "--id", run)).code == 0
    ended = await starter("graph", run)
    assert ended.code == 0, ended.err
    assert "    text (editor · done · 0.010000 USD) <- facts, prices" in ended.out
    assert (await starter("graph", "nobody")).code == 2


class Seen(HTMLParser):
    """Collects the tags of a page, and what they would load."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "data")]


EVIL = 'The answer: <script>alert(1)</script> & "more" | and `so` on'


async def test_a_report_is_one_file_in_three_formats(
    starter: Starter, client: Client, tmp_path: Path
) -> None:
    run, world = new_id(), FakeWorld()

    def evil(call: CallRequest) -> CallResult | None:
        return world.answer(call, EVIL) if call.task == "answer" else None

    world.rule = evil
    async with serving(client, world):
        assert (await starter("run", starter.team(), "--id", run)).code == 0
    for ending in ("html", "md", "json"):
        ended = await starter("report", run, "--out", str(tmp_path / f"r.{ending}"))
        assert ended.code == 0, ended.err
    page = (tmp_path / "r.html").read_text()
    seen = Seen()
    seen.feed(page)
    assert seen.loads == [], "self-contained"
    assert "script" not in seen.tags
    assert seen.tags.count("svg") == 2
    for expected in (run, "0.040000", "agrees", "&lt;script&gt;", "facts", "orchestrator"):
        assert expected in page
    for ask in ("List the facts.", "List the prices.", "Write it up."):
        assert page.count(ask) == 1, "each task with its ask"
    assert "answer of facts" in page, "and its hand-off"
    assert "prefers-color-scheme:dark" in page
    assert "width=device-width" in page
    text = (tmp_path / "r.md").read_text()
    as_text = 'The answer: &lt;script&gt;alert(1)&lt;/script&gt; &amp; "more" \\| and \\`so\\` on'
    for expected in (
        as_text,
        "```mermaid",
        "| research |",
        "## Timeline",
        "### text",
        "Write it up.",
        "answer of prices",
        "| facts | research | +",
    ):
        assert expected in text
    whole = RunFile.model_validate_json((tmp_path / "r.json").read_text())
    assert whole.report.answer == EVIL
    assert [bar.outcome for bar in whole.timeline] == ["good"] * 4
    assert all(bar.ended_at - bar.started_at == timedelta(seconds=0.5) for bar in whole.timeline)


async def test_the_report_of_a_failed_run_says_what_failed(
    starter: Starter, world: FakeWorld, tmp_path: Path
) -> None:
    world.rule = fail_prices
    run = new_id()
    assert (await starter("run", starter.team(), "--id", run)).code == 1
    file = tmp_path / "r.html"
    ended = await starter("report", run, "--out", str(file), "--json")
    assert json.loads(ended.out) == {"workflow_id": run, "file": str(file)}
    page = file.read_text()
    assert "prices: ContextExceeded: no such sheet" in page
    assert "What to do: Shorten the inputs" in page
    commands = commands_in("\n".join(re.findall(r'<pre class="cmd">(.*?)</pre>', page)))
    look, again = map(parsed, commands)
    assert (look, again[:3]) == (["task", run, "prices"], ["rerun", run, "--id"])


@pytest.mark.parametrize(
    ("out", "printed"), [("r.pdf", "end it in .html, .md or .json"), ("no/where/r.md", "cannot be")]
)
async def test_an_invalid_file_name_is_refused(
    starter: Starter, world: FakeWorld, tmp_path: Path, out: str, printed: str
) -> None:
    run = new_id()
    assert (await starter("run", starter.team(), "--id", run)).code == 0
    ended = await starter("report", run, "--out", str(tmp_path / out))
    assert ended.code == 2
    assert printed in ended.err


async def test_an_open_run_has_no_report_yet(
    starter: Starter, client: Client, tmp_path: Path
) -> None:
    run = new_id()
    assert (await starter("start", starter.team(), "--id", run)).code == 0
    ended = await starter("report", run, "--out", str(tmp_path / "r.md"))
    await client.get_workflow_handle(run).terminate()
    assert ended.code == 2
    assert f"starter.py result {run}" in ended.err


def test_a_report_on_paper_is_dark_on_light_and_cuts_no_command_and_no_graph() -> None:
    """Paper does not scroll, and is white."""
    dark = STYLE.index("prefers-color-scheme:dark")
    assert STYLE[:dark].endswith("@media screen and (")
    paper = STYLE[STYLE.index("@media print{") :]
    assert "pre.cmd{white-space:pre-wrap}" in paper
    assert "figure{overflow:visible}" in paper
    assert "svg[viewBox]{max-width:100%" in paper
