"""`graph`: the plan of a team file, or of a run with its states and prices."""

from pathlib import Path

from temporalio.client import Client

from durable_agent_team.cli.commands.checking import ask_provider
from durable_agent_team.cli.exit_codes import Code
from durable_agent_team.cli.loading import load_request
from durable_agent_team.cli.output import note, say, say_json
from durable_agent_team.cli.session import with_client
from durable_agent_team.cli.ui.following import state_of
from durable_agent_team.cli.ui.picture import Graph, Node, graph_mermaid, graph_text, of_tasks
from durable_agent_team.client.runs import get_run
from durable_agent_team.rules.estimate import estimate


def graph(what: str, mermaid: bool, json: bool) -> int:
    """A path that is there, or that ends like YAML, is a team file; all else is a run's id."""
    is_file = what.endswith((".yaml", ".yml")) or _is_file(what)
    drawn = _of_team(Path(what)) if is_file else _of_run(what)
    if json:
        say_json(drawn)
    elif not drawn.nodes:
        note(f"{what}: no tasks yet; the orchestrator plans them from the goal")
    else:
        say(graph_mermaid(drawn) if mermaid else graph_text(drawn))
    return Code.DONE


def _is_file(what: str) -> bool:
    try:
        return Path(what).is_file()
    except OSError:  # longer than the name of a file can be
        return False


def _of_team(path: Path) -> Graph:
    request = load_request(path, None, [])
    provider = ask_provider()
    most = {}
    if provider is not None:
        bounds = estimate(request, provider.catalog).calls
        most = {each.subject: each.usd for each in bounds}
    nodes = tuple(
        Node(id=t.id, agent=t.agent, depends_on=t.depends_on, usd=most.get(t.id))
        for t in request.team.tasks
    )
    return Graph(name=request.team.name, nodes=nodes)


def _of_run(run: str) -> Graph:
    async def work(client: Client) -> Graph:
        handle = get_run(client, run)
        if await handle.is_open():
            state = await handle.whole_state()
        else:
            state = state_of(await handle.report())
        return of_tasks(f"run {run}: {state.team}, {state.status}", state.tasks)

    return with_client(work)
