"""The worker, and the composition root: settings -> client -> activities -> Worker.

Configured by `.env` or the environment; works with any Temporal, ATXP and OpenAI-compatible
endpoint. Exit codes: 0 stopped by SIGTERM or SIGINT; 1 an unexpected error, or the event loop was
blocked for a minute; 2 a setting or limit is wrong, or an argument was given; 3 Temporal
refuses the connection.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, Final

import uvloop
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner

from activities.accounts import Accounts
from activities.calls.call_agent import Agents
from activities.judging.judge import Judge
from activities.notifications import Notifications
from activities.programs.environments import Environments
from activities.programs.process_runner import ProcessRunner
from activities.programs.remote.remote_runner import RemoteRunner
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
from durable_agent_team.atxp.sealing import Sealer
from durable_agent_team.atxp.tool_charges import ToolCharges
from durable_agent_team.blobs.open_blobs import open_blobs
from durable_agent_team.blobs.store import BlobStore, NoBlobs
from durable_agent_team.blobs.texts import Texts
from durable_agent_team.client.connection import (
    ServiceUnavailable,
    connect,
    ensure_search_attributes,
)
from durable_agent_team.contracts import names
from durable_agent_team.contracts.program_kinds import CommandRun, PythonRun, RemoteRun
from durable_agent_team.process import logs, telemetry, temporal_runtime
from durable_agent_team.process.interpreter_exit import exit_process
from durable_agent_team.process.project_root import PROJECT_ROOT, START_WORKER
from durable_agent_team.process.settings import SettingsError, WorkerSettings, worker_settings
from durable_agent_team.process.stuck_process import ended_when_stuck
from durable_agent_team.process.team_interceptor import TeamLabel
from durable_agent_team.providers.otel_variables import is_enabled
from durable_agent_team.providers.process_limits import SERVICE_MEGABYTES, too_low_limit
from durable_agent_team.worker_sdk.patched_worker import PatchedRunner, sandboxed_runner
from workflows.orchestrator import Orchestrator
from workflows.state.open_tasks import OPEN_TASKS

log = logging.getLogger("worker")

PASSED_THROUGH: Final = (
    "durable_agent_team.contracts",
    "durable_agent_team.rules.bounds",
    "durable_agent_team.rules.encoded_size",
    "durable_agent_team.rules.graph",
    "durable_agent_team.rules.shares",
    "durable_agent_team.rules.value_limits",
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "workflows.state.agent_account",
    "workflows.state.charges",
    "workflows.policies",
    "workflows.state.open_tasks",
    "workflows.state.task_schedule",
    "workflows.state.usage_totals",
)
"""Modules that the sandbox shares with the worker: pure ones, which are used outside of it too, and
libraries. Named one by one, since passing through all of `workflows` would switch the sandbox off
for the workflow."""

RETRY_SECONDS: Final = 1.0
TRIES_BETWEEN_WARNINGS: Final = 30


def all_activities(
    settings: WorkerSettings,
    http: HttpClient,
    blobs: BlobStore | None = None,
    directories: WorkDirectories | None = None,
    ending: AsyncExitStack | None = None,
) -> list[Callable[..., Any]]:
    """Every activity that this worker serves, over one HTTP client for the process. Programs and
    functions work in `directories`; `ending` closes what has processes of its own."""
    provider = AtxpAccounts(http, settings.atxp_api_url, settings.atxp_api_key)
    chat = ChatClient(http, settings.atxp_llm_url)
    sealer = Sealer(settings.sealing_key.get_secret_value())
    accounts = Accounts(
        provider, models_reader=chat, sealer=sealer, default_model=settings.default_model
    )
    texts, judge = Texts(blobs or NoBlobs()), Judge()
    agents = Agents(chat, sealer, texts, judge)
    directories = directories or WorkDirectories()
    sessions, functions = McpSessions(os.environ), PythonTools(directories, os.environ)
    if ending is not None:
        ending.push_async_callback(sessions.close)
        ending.push_async_callback(functions.close)
    charges = ToolCharges(http, settings.atxp_api_url)
    tools = Tools(sessions, functions, BuiltInTools(texts), charges, sealer, texts)
    environments = Environments(PROJECT_ROOT / settings.program_environments, os.environ)
    processes = ProcessRunner(directories, environments, os.environ)
    programs = Programs(
        ScopeAccount(http, settings.atxp_llm_url, settings.atxp_api_key),
        sealer,
        judge,
        texts,
        environments,
        runners={
            PythonRun: processes,
            CommandRun: processes,
            RemoteRun: RemoteRunner(private_addresses=settings.a2a_private_addresses),
        },
    )
    return [
        accounts.read_models,
        accounts.open_accounts,
        accounts.set_budget,
        accounts.transfer,
        accounts.read_ledgers,
        accounts.close_accounts,
        agents.call_agent,
        agents.check_output,
        agents.check_arguments,
        programs.prepare_environment,
        programs.run_program,
        tools.list_tools,
        tools.call_tool,
        tools.end_charge,
        Notifications(private_addresses=settings.notify_private_addresses).notify,
    ]


def workflow_runner(settings: WorkerSettings) -> WorkflowRunner:
    """The strict sandbox, in which `PASSED_THROUGH` is shared; or none, if the settings say so."""
    if not settings.workflow_sandbox:
        return UnsandboxedWorkflowRunner()
    return sandboxed_runner(PASSED_THROUGH, settings.sdk_patches)


def build_worker(
    client: Client, settings: WorkerSettings, activities: Sequence[Callable[..., Any]]
) -> Worker:
    """One worker on the public task queue, with the options that measured best."""
    patched = PatchedRunner(workflow_runner(settings), settings.sdk_patches)
    team_labels = TeamLabel(patched.unless_idle(OPEN_TASKS.forget))
    worker = Worker(
        client,
        task_queue=names.TASK_QUEUE,
        workflows=[Orchestrator],
        activities=activities,
        workflow_runner=patched.runner,
        max_cached_workflows=settings.max_cached_runs,
        max_concurrent_activities=settings.max_concurrent_calls,
        max_eager_activity_reservations_per_workflow_task=100,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        graceful_shutdown_timeout=timedelta(seconds=settings.graceful_shutdown_seconds),
        interceptors=[*telemetry.run_spans(), team_labels] if is_enabled(os.environ) else [],
    )
    patched.attach(worker)
    return worker


def start_telemetry() -> None:
    """Follows the OTEL_* variables. Call it before the first Temporal client is created."""
    temporal_runtime.start()
    if telemetry.start_metrics():
        OPEN_TASKS.watched = True
        telemetry.observe_tasks(OPEN_TASKS.totals)


async def connect_with_retry(settings: WorkerSettings, blobs: BlobStore) -> Client:
    """Retries until Temporal answers, and logs that it waits.

    Raises `ServiceUnavailable` only if another attempt cannot succeed.
    """
    tries = 0
    while True:
        try:
            client = await connect(settings, blobs)
            added = await ensure_search_attributes(client)
        except (ServiceUnavailable, RPCError) as error:
            if isinstance(error, ServiceUnavailable) and error.final:
                raise
            if tries % TRIES_BETWEEN_WARNINGS == 0:
                log.warning("waiting for Temporal: %s", error)
            tries += 1
            await asyncio.sleep(RETRY_SECONDS)
            continue
        if added:
            log.info("search attributes registered: %s", ", ".join(added))
        return client


async def serve(settings: WorkerSettings, stop: asyncio.Event) -> None:
    """Runs the worker until `stop` is set, then lets calls in flight finish."""
    stopping = asyncio.create_task(stop.wait())
    async with HttpClient() as http, AsyncExitStack() as ending:
        blobs = open_blobs(
            settings.external_storage, settings.atxp_api_url, settings.atxp_api_key, lambda: http
        )
        connecting = asyncio.create_task(connect_with_retry(settings, blobs))
        await asyncio.wait({stopping, connecting}, return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            connecting.cancel()
            return
        client = connecting.result()
        directories = WorkDirectories()
        await asyncio.to_thread(directories.clean)
        activities = all_activities(settings, http, blobs, directories, ending)
        worker = build_worker(client, settings, activities)
        running = asyncio.create_task(worker.run())
        print(
            f"worker ready on task queue {names.TASK_QUEUE!r} at {settings.temporal_address},"
            f" accounts at {settings.atxp_api_url}",
            flush=True,
        )
        await asyncio.wait({stopping, running}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            log.info("stopping: calls in flight get %s s", settings.graceful_shutdown_seconds)
            await worker.shutdown()
        try:
            await running
        finally:
            await asyncio.to_thread(directories.close)


async def run(settings: WorkerSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with ended_when_stuck(settings.graceful_shutdown_seconds):
        await serve(settings, stop)


def parse_arguments() -> None:
    """Prints what the worker is, for `--help`, and refuses every other argument. Both exit."""
    argparse.ArgumentParser(
        prog=START_WORKER,
        description="Runs the workflows and activities of agent teams: a Temporal worker on task"
        f" queue {names.TASK_QUEUE!r}, until SIGTERM or SIGINT.",
        epilog="It has no other arguments. Its settings are environment variables or lines of .env:"
        " docs/settings.md",
    ).parse_args()


def main() -> int:
    parse_arguments()
    logs.configure()
    if problem := too_low_limit(SERVICE_MEGABYTES):
        print(f"worker: {problem}", file=sys.stderr)
        return 2
    try:
        settings = worker_settings()
        logs.configure(form=settings.log_format)
        start_telemetry()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings))
    except SettingsError as error:
        print(f"worker: settings are missing or wrong:\n{error}", file=sys.stderr)
        return 2
    except ServiceUnavailable as error:
        print(f"worker: {error}", file=sys.stderr)
        return 3
    except Exception:
        log.exception("the worker ended")
        return 1
    return 0


if __name__ == "__main__":
    exit_process(main())
