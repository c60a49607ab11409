"""`python -m tests.frameworks`: the teams of `teams/frameworks/`, and `.data/frameworks.json`.

Each runs with the scripted upstream, and is killed once while its second call of the model is in
flight; then with the bundled model, unless `--scripted` is given. What a framework needs is
installed below `.data/`. Exit codes: 0 every promise held; 1 one broke; 130 interrupted.
"""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from temporalio.runtime import Runtime, TelemetryConfig

from durable_agent_team.client.exceptions import RunError
from durable_agent_team.process.interpreter_exit import exit_process
from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.team_files.team_file import TeamFileError
from tests.frameworks.desk_run import Outcome, Parked, run_bundled, run_scripted
from tests.frameworks.desk_stack import desk_stack
from tests.frameworks.outcome_table import table
from tests.frameworks.scripted_model import Script
from tests.frameworks.staged_teams import NODE, NotInstalled, install_node_packages, names, stage
from tests.support.interruptible import until_interrupted

RESULT = PROJECT_ROOT / ".data" / "frameworks.json"
BREAKS = (RunError, TeamFileError, Parked, TimeoutError, OSError)
Results = dict[str, list[Outcome]]


async def run_all(teams: Sequence[str], *, bundled: bool) -> Results:
    folder = stage()
    skipped = await _skipped(folder, teams)
    results: Results = {"scripted upstream": []}
    script = Script()
    async with script.upstream, desk_stack(script.upstream.url) as stack:
        for team in teams:
            run = _one(team, skipped, lambda name: run_scripted(stack, script, folder, name))
            results["scripted upstream"].append(await run)
    if bundled:
        results["bundled model"] = []
        async with desk_stack(None) as stack:
            for team in teams:
                run = _one(team, skipped, lambda name: run_bundled(stack, folder, name))
                results["bundled model"].append(await run)
    return results


async def _skipped(folder: Path, teams: Sequence[str]) -> dict[str, str]:
    """The teams that cannot run here, with the reason."""
    node = [team for team in teams if team.startswith(NODE)]
    if not node:
        return {}
    try:
        await install_node_packages(folder)
    except NotInstalled as error:
        return dict.fromkeys(node, str(error))
    return {}


async def _one(
    team: str, skipped: dict[str, str], run: Callable[[str], Awaitable[Outcome]]
) -> Outcome:
    if team in skipped:
        return Outcome(team, skipped=skipped[team])
    print(f"{team}: running", file=sys.stderr, flush=True)
    try:
        return await run(team)
    except BREAKS as error:
        return Outcome(team, broken=(f"{type(error).__name__}: {error}",))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.frameworks", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("teams", nargs="*", metavar="TEAM", help="left out: all of them")
    parser.add_argument("--scripted", action="store_true", help="without the bundled model")
    given = parser.parse_args()
    if unknown := set(given.teams) - set(names()):
        parser.error(f"no team {min(unknown)}; there are: {', '.join(names())}")
    # Broken connections are expected here, so the SDK need not log them.
    Runtime.set_default(Runtime(telemetry=TelemetryConfig(logging=None)))
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    results = asyncio.run(
        until_interrupted(run_all(given.teams or names(), bundled=not given.scripted))
    )
    if results is None:
        print("frameworks: interrupted; every process of it is ended", file=sys.stderr)
        return 130
    rows = {name: [vars(each) for each in outcomes] for name, outcomes in results.items()}
    RESULT.write_text(json.dumps(rows, indent=2, default=str) + "\n", encoding="utf-8")
    for name, outcomes in results.items():
        print(f"\n{name}\n" + "\n".join(table(outcomes)))
    broken = any(each.broken for outcomes in results.values() for each in outcomes)
    print("A PROMISE BROKE" if broken else "every promise held", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    exit_process(main())
