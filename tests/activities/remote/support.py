"""Calls of remote agents, and one attempt of them."""

from typing import Any

import pytest
from pydantic import SecretStr

from activities.programs.exceptions import ProgramError
from activities.programs.remote.remote_runner import RemoteRunner
from activities.programs.remote_progress import Progress
from activities.programs.runner import ProgramOutput, Scope
from durable_agent_team.contracts.program import ProgramCall
from durable_agent_team.contracts.program_kinds import RemoteRun
from tests.activities.support import AGENT_KEY
from tests.activities.support import call as request

TOKEN = "crm-token-9f8e7d6c5b4a"
WORKER = {"CRM_AUTH": TOKEN, "ATXP_API_KEY": "the-parent-key-0123456789"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"price": {"type": "number"}},
    "required": ["price"],
}


def program(url: str, *, run: dict[str, Any] | None = None, **changes: Any) -> ProgramCall:
    """One execution. What `CallRequest` has goes there, the rest into `ProgramCall`."""
    own = {name: changes.pop(name) for name in ("reply", "remote_task") if name in changes}
    execution = changes.pop("execution", 1)
    return ProgramCall(
        call=request(**changes),
        run=RemoteRun(a2a=url, **(run or {})),
        scope="scope-1",
        execution=execution,
        role="Market researchers",
        **own,
    )


def scope(attempt: int = 1001) -> Scope:
    return Scope("scope-1", attempt, "http://gateway.test:8080", SecretStr(AGENT_KEY))


async def attempt(
    call: ProgramCall,
    *,
    seconds: float = 20,
    progress: Progress | None = None,
    number: int = 1001,
    goes_on: bool = False,
    **settings: Any,
) -> ProgramOutput:
    async def another_goes_on() -> bool:
        return goes_on

    runner = RemoteRunner(environment=WORKER, goes_on=another_goes_on, **settings)
    return await runner.run(call, scope(number), seconds, progress)


async def failure(call: ProgramCall, **settings: Any) -> ProgramError:
    """Of one attempt. No key is in it."""
    with pytest.raises(ProgramError) as raised:
        await attempt(call, **settings)
    error = raised.value
    for secret in (AGENT_KEY, TOKEN):
        assert secret not in f"{error} {error.stderr}"
    assert error.__cause__ is None
    return error
