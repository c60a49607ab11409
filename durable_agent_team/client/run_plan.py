"""Reads the plan of a run from its history: the tasks with what they are asked."""

from temporalio.client import Client

from durable_agent_team.client.ended_runs import read_ended_run
from durable_agent_team.client.exceptions import RunError
from durable_agent_team.contracts.plan import Plan


async def plan_of(client: Client, id: str) -> Plan | None:
    """As it is now, with what reviews and people added. Needs no worker. None where there is no
    plan, or where it cannot be read. Raises `ServiceUnavailable`."""
    try:
        return (await read_ended_run(client, id)).whole_plan
    except RunError:
        return None
