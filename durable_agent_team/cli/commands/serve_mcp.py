"""`mcp`: offers runs as tools to whoever speaks the Model Context Protocol."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.output import print_note

if TYPE_CHECKING:
    from decimal import Decimal

    from durable_agent_team.mcp_server.server import HttpAddress

app = typer.Typer(rich_markup_mode=None)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@app.command()
def mcp(
    teams: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[TEAM]...", help="Team files that clients may start runs of."),
    ] = None,
    http: Annotated[
        str | None,
        typer.Option("--http", metavar="[HOST:]PORT", help="Serve by HTTP, at /mcp."),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Offer only tools that change nothing.")
    ] = False,
    budgets_up_to: Annotated[
        str | None,
        typer.Option(
            "--budgets-up-to",
            metavar="USD",
            help="Let clients raise agents' limits, to this much in one run.",
        ),
    ] = None,
) -> int:
    """Offer runs as MCP tools to any client. It can start, watch, approve and cancel them.

    What it spends is within the limits of the teams; with --budgets-up-to it may raise those of a
    run, until they come to that amount together.

    On standard input and output, for a client that starts this command; or by HTTP. Outside of this
    machine MCP_TOKEN must be set: clients send it as `Authorization: Bearer`.
    """
    import asyncio

    from durable_agent_team.process import temporal_runtime
    from durable_agent_team.process.extras import MissingExtra, require

    try:
        require("mcp")
    except MissingExtra as error:
        raise CommandError(ExitCode.INVALID_INPUT, str(error)) from error
    from durable_agent_team.mcp_server import server as mcp_server

    address = None if http is None else _address(http)
    most = _most(budgets_up_to, read_only=read_only)
    if address is None:
        _check_is_open("input", sys.stdin)
        _check_is_open("output", sys.stdout)
    offered = _offered(teams or [])
    temporal_runtime.start_silent()
    server = mcp_server.make_server(offered, read_only=read_only, budgets_up_to_usd=most)
    names = ", ".join(offered) or "none"
    if address is None:
        print_note(f"serving MCP on standard input and output; teams: {names}")
        asyncio.run(mcp_server.serve_stdio(server))
        return ExitCode.DONE
    host = f"[{address.host}]" if ":" in address.host else address.host
    print_note(f"serving MCP at http://{host}:{address.port}{mcp_server.PATH}; teams: {names}")
    try:
        asyncio.run(mcp_server.serve_http(server, address))
    except SystemExit as error:  # uvicorn could not listen, and has said why
        problem = f"--http = {http}: cannot listen there (is the port taken?)"
        raise CommandError(ExitCode.INVALID_INPUT, problem) from error
    return ExitCode.DONE


def _check_is_open(name: str, stream: object) -> None:
    if stream is None:
        problem = f"standard {name} is closed, and MCP is served there"
        raise CommandError(ExitCode.INVALID_INPUT, f"{problem} (leave it open, or give --http)")


def _address(http: str) -> "HttpAddress":
    from durable_agent_team.mcp_server.server import HttpAddress
    from durable_agent_team.process.settings import given_values

    host, _, port = http.rpartition(":")
    host = host.strip("[]") or LOOPBACK[0]
    if not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65_536):
        problem = f"--http = {http}: not a port, or HOST:PORT (write --http 8000)"
        raise CommandError(ExitCode.INVALID_INPUT, problem)
    token = given_values().get("MCP_TOKEN")
    if token is None and host not in LOOPBACK:
        problem = (
            f"--http = {http}: others can reach this address, and whoever does can spend money"
            " (set MCP_TOKEN to a long random value, or leave the host out)"
        )
        raise CommandError(ExitCode.INVALID_INPUT, problem)
    return HttpAddress(host, int(port), token)


def _most(usd: str | None, *, read_only: bool) -> "Decimal | None":
    """What the limits of a run may come to."""
    from durable_agent_team.cli.control_message import build_message, parse_amount
    from durable_agent_team.contracts.control import AdjustBudget

    if usd is None:
        return None
    amount = parse_amount(usd, "--budgets-up-to")
    if read_only:
        problem = "--budgets-up-to: clients change nothing with --read-only (leave one of them out)"
        raise CommandError(ExitCode.INVALID_INPUT, problem)
    names, example = {"max_total_usd": "--budgets-up-to"}, {"agent": "any", "budget_usd": 1}
    return build_message(AdjustBudget, names, **example, max_total_usd=amount).max_total_usd


def _offered(paths: list[Path]) -> dict[str, Path]:
    """The team files by the names of their teams. Raises `CommandError` for one that is wrong."""
    from durable_agent_team.cli.request_file import load_request

    found: dict[str, Path] = {}
    for path in paths:
        name = load_request(path, None, ()).team.name
        if name in found:
            problem = f"{path}: its team is called {name!r}, like that of {found[name]}"
            raise CommandError(ExitCode.INVALID_INPUT, f"{problem} (rename one of them)")
        found[name] = path.resolve()
    return found
