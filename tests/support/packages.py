"""All packages together: real activities, the real gateway and the scripted upstream."""

import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from temporalio.client import Client, WorkflowHandle

from activities.accounts import Accounts
from activities.calls.call_agent import Agents
from activities.judging.judge import Judge
from activities.notifications import Notifications
from activities.programs.environments import Environments
from activities.programs.process_runner import ProcessRunner
from activities.programs.run_program import Programs
from activities.programs.scope_account import ScopeAccount
from activities.programs.work_directories import WorkDirectories
from activities.tools.built_in.built_in_tools import BuiltInTools
from activities.tools.functions.python_tools import PythonTools
from activities.tools.mcp.sessions import McpSessions
from activities.tools.tool_activities import Tools
from durable_agent_team.atxp.account_api import AtxpAccounts
from durable_agent_team.atxp.chat_client import ChatClient
from durable_agent_team.atxp.http_client import HttpClient
from durable_agent_team.atxp.sealing import Sealer, generate_sealing_key
from durable_agent_team.atxp.tool_charges import ToolCharges
from durable_agent_team.blobs.store import BlobStore, NoBlobs
from durable_agent_team.blobs.texts import Texts
from durable_agent_team.contracts.names import WORKFLOW
from durable_agent_team.contracts.program_kinds import CommandRun, PythonRun
from durable_agent_team.contracts.run import RunReport
from durable_agent_team.payloads.converter import data_converter
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.temporal import running_worker
from tests.support.upstream import ScriptedUpstream

SEALING_KEY = generate_sealing_key()


@dataclass
class Rooms:
    client: Client
    queue: str
    gateway: RunningGateway
    upstream: ScriptedUpstream
    http: HttpClient

    async def start(self, payload: Any, run_id: str) -> WorkflowHandle[Any, Any]:
        return await self.client.start_workflow(
            WORKFLOW, payload, id=run_id, task_queue=self.queue, result_type=RunReport
        )

    def ledger_tokens(self) -> int:
        """Of all prompts and answers that were charged."""
        with sqlite3.connect(self.gateway.database) as database:
            query = "SELECT coalesce(sum(prompt_tokens + completion_tokens), 0) FROM ledger"
            (tokens,) = database.execute(query).fetchone()
        return int(tokens)

    def ledger_usd(self) -> Decimal:
        """The sum of all charges, straight from the gateway's database file."""
        with sqlite3.connect(self.gateway.database) as database:
            (micros,) = database.execute("SELECT coalesce(sum(amount), 0) FROM ledger").fetchone()
        return Decimal(micros).scaleb(-6)


def with_store(client: Client, store: BlobStore, threshold: int = 5_000) -> Client:
    """The client, with this store of large texts."""
    config = client.config()
    config["data_converter"] = data_converter(store, threshold)
    return Client(**config)


@asynccontextmanager
async def all_rooms(
    client: Client, blobs: BlobStore | None = None, **gateway: Any
) -> AsyncIterator[Rooms]:
    """A worker with the real activities; everything on loopback. Large texts are in `blobs`."""
    store = blobs or NoBlobs()
    client = with_store(client, store)
    with tempfile.TemporaryDirectory() as folder:
        directories = WorkDirectories(Path(folder) / "work")
        with closing(directories):
            async with _served(client, store, folder, directories, gateway) as rooms:
                yield rooms


@asynccontextmanager
async def _served(
    client: Client,
    store: BlobStore,
    folder: str,
    directories: WorkDirectories,
    gateway: dict[str, Any],
) -> AsyncIterator[Rooms]:
    async with (
        ScriptedUpstream() as upstream,
        running_gateway(upstream.url, **gateway) as running,
        HttpClient() as http,
        AsyncExitStack() as ending,
    ):
        provider = AtxpAccounts(http, running.base_url, SecretStr(running.parent_key))
        chat = ChatClient(http, running.base_url)
        sealer = Sealer(SEALING_KEY)
        environments = Environments(Path(folder) / "environments", os.environ)
        processes = ProcessRunner(directories, environments, os.environ)
        accounts = Accounts(provider, models_reader=chat, sealer=sealer, default_model="m")
        programs = Programs(
            ScopeAccount(http, running.base_url, SecretStr(running.parent_key)),
            sealer,
            Judge(),
            Texts(store),
            environments,
            runners=dict.fromkeys((PythonRun, CommandRun), processes),
        )
        texts, judge = Texts(store), Judge()
        sessions = McpSessions(os.environ)
        functions = PythonTools(directories, os.environ)
        ending.push_async_callback(sessions.close)
        ending.push_async_callback(functions.close)
        charges = ToolCharges(http, running.base_url)
        tools = Tools(sessions, functions, BuiltInTools(texts), charges, sealer, texts)
        agents = Agents(chat, sealer, texts, judge)
        activities = [
            tools.list_tools,
            tools.call_tool,
            programs.prepare_environment,
            programs.run_program,
            accounts.read_models,
            accounts.open_accounts,
            accounts.set_budget,
            accounts.transfer,
            accounts.read_ledgers,
            accounts.close_accounts,
            agents.call_agent,
            agents.check_arguments,
            Notifications(private_addresses=True).notify,
        ]
        async with running_worker(client, activities) as queue:
            yield Rooms(client, queue, running, upstream, http)
