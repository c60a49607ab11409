"""`graph`: the plan of a team file, or of a run with its states and prices."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from durable_agent_team.cli.arguments import Json, check_team_or_run
from durable_agent_team.cli.command_client import with_run
from durable_agent_team.cli.exit_codes import ExitCode
from durable_agent_team.cli.output import print_answer, print_note

if TYPE_CHECKING:
    from durable_agent_team.cli.ui.graph_drawing import Graph
    from durable_agent_team.client.runs import RunHandle

app = typer.Typer(rich_markup_mode=None)


@app.command()
def graph(
    what: Annotated[
        str,
        typer.Argument(
            metavar="TEAM|RUN", help="A team file, or a run's id.", callback=check_team_or_run
        ),
    ],
    mermaid: Annotated[bool, typer.Option("--mermaid", help="As a Mermaid flowchart.")] = False,
    json: Json = False,
) -> int:
    """Print the plan of a team file or a run. With states and prices."""
    from durable_agent_team.cli.ui.graph_drawing import graph_mermaid, graph_text

    drawn = _team_graph(Path(what)) if _is_team_file(what) else _run_graph(what)
    if not json and not drawn.nodes:
        print_note(f"{what}: no tasks yet; the orchestrator plans them from the goal")
        return ExitCode.DONE
    return print_answer(drawn, graph_mermaid(drawn) if mermaid else graph_text(drawn), json)


def _is_team_file(what: str) -> bool:
    """Whether it exists as a file, or its name is that of a YAML file; else it is a run's id."""
    try:
        return what.endswith((".yaml", ".yml")) or Path(what).is_file()
    except OSError:  # longer than the name of a file can be
        return False


def _team_graph(path: Path) -> "Graph":
    from durable_agent_team.cli.provider_lookup import look_up_provider
    from durable_agent_team.cli.request_file import load_request
    from durable_agent_team.cli.ui.graph_drawing import Graph, Node
    from durable_agent_team.rules.catalog import models_of
    from durable_agent_team.rules.estimate import estimate

    request = load_request(path, None, [])
    provider = look_up_provider(models_of(request.team))
    most = {}
    if provider is not None:
        bounds = estimate(request, provider.catalog).calls
        most = {each.subject: each.usd for each in bounds}
    nodes = tuple(
        Node(id=t.id, agent=t.agent, depends_on=t.depends_on, usd=most.get(t.id))
        for t in request.team.tasks
    )
    return Graph(name=request.team.name, nodes=nodes)


def _run_graph(run: str) -> "Graph":
    from durable_agent_team.cli.ui.follow_run import state_of
    from durable_agent_team.cli.ui.graph_drawing import graph_of_tasks

    async def read_graph(handle: "RunHandle") -> "Graph":
        if await handle.is_open():
            state = await handle.whole_state()
        else:
            state = state_of(await handle.report())
        return graph_of_tasks(f"run {run}: {state.team}, {state.status}", state.tasks)

    return with_run(run, read_graph)
