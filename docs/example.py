"""`.venv/bin/python -m docs.example`: a run from Python. A stack must be up (`make up`)."""

import asyncio

from durable_agent_team import connect, load_team, start_run


async def main() -> None:
    client = await connect()
    run = await start_run(client, load_team("teams/market_brief.yaml"))
    print(f"{run.id}: {(await run.state()).status}")
    report = await run.result()
    print(report.answer)
    for agent in (await run.spend()).agents:
        print(f"{agent.agent}: {agent.spent_usd} of {agent.budget_usd} USD")


asyncio.run(main())
