"""`run_program` for remote agents as the worker has it, for an agent that pays for itself."""

import os
from pathlib import Path

from pydantic import SecretStr

from activities.judging.judge import Judge
from activities.programs.environments import Environments
from activities.programs.remote.remote_runner import RemoteRunner
from activities.programs.run_program import Programs
from activities.programs.scope_account import ScopeAccount
from durable_agent_team.atxp.httpx_client import HttpxClient
from durable_agent_team.atxp.sealing import Sealer, generate_sealing_key
from durable_agent_team.blobs.store import NoBlobs
from durable_agent_team.blobs.texts import Texts
from durable_agent_team.contracts.program_kinds import RemoteRun

AGENT_KEY = "atxp-agent-key-0123456789abcdef"


class OneKey(Sealer):
    """Unseals anything: accounts of a fake world have no sealed keys."""

    def __init__(self) -> None:
        super().__init__(generate_sealing_key())

    def unseal(self, sealed: str, account_id: str) -> SecretStr:
        return SecretStr(AGENT_KEY)


def remote_programs(
    llm_url: str = "http://127.0.0.1:9/v1", sealer: Sealer | None = None
) -> Programs:
    """Its gateway is nowhere by default: an agent that does not get the key costs nothing there."""
    return Programs(
        ScopeAccount(HttpxClient(), llm_url, None),
        sealer or OneKey(),
        Judge(),
        Texts(NoBlobs()),
        Environments(Path(os.devnull), {}),
        {RemoteRun: RemoteRunner(environment={})},
    )
