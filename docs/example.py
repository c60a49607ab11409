"""`.venv/bin/python -m docs.example`: a run from Python. A stack must be up (`make up`)."""

import asyncio

from durable_agent_team.client.connection import connect
from durable_agent_team.client.runs import start_run
from durable_agent_team.process.settings import client_settings
from durable_agent_team.team_files.team_file import load_team


async def main() -> None:
    client = await connect(client_settings())
    run = await start_run(client, load_team("teams/market_brief.yaml"))
    print(f"{run.id}: {(await run.state()).status}")
    report = await run.result()
    print(report.answer)
    for agent in (await run.spend()).agents:
        print(f"{agent.agent}: {agent.spent_usd} of {agent.budget_usd} USD")


asyncio.run(main())
