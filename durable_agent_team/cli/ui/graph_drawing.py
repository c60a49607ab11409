"""Pure: a plan with its states and amounts, as data, as text and as Mermaid."""

from collections.abc import Sequence
from decimal import Decimal

from durable_agent_team.cli.output import clip, usd
from durable_agent_team.cli.ui.graph_layers import layered
from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.run import TaskState, TaskStatus
from durable_agent_team.rules.safe_text import mermaid_text, one_line

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
        text = f"{node.id} ({label_of(node)}){after}"
        lines.append(f"{'  ' * (depth + 1)}{one_line(text)}")
    return "\n".join(lines)


def graph_mermaid(graph: Graph) -> str:
    """A flowchart in Mermaid, which GitHub and editors render."""
    names = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        text = f"{mermaid_text(node.id)}<br/>{mermaid_text(label_of(node))}"
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


def label_of(node: Node) -> str:
    """Agent, state and amount, on one line."""
    return " · ".join(filter(None, (node.agent, state_of(node))))


def state_of(node: Node) -> str:
    """State and amount."""
    parts = []
    if node.status is not None:
        parts.append(node.status.value)
    if node.reused_from is not None:
        parts.append(f"{usd(node.reused_usd)} USD in {clip(node.reused_from, MAX_ORIGIN)}")
    elif node.usd is not None:
        parts.append(f"{'' if node.status else 'at most '}{usd(node.usd)} USD")
    return " · ".join(parts)
