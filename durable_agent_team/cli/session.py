"""One command's conversation with Temporal: settings, connection, errors to exit codes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from temporalio.client import Client

from durable_agent_team.cli.exit_codes import Code, CommandError
from durable_agent_team.client.connection import ServiceUnavailable, connect
from durable_agent_team.client.exceptions import NoWorker, RunAborted, RunError, RunRefused
from durable_agent_team.contracts.run import RunReport, RunStatus
from durable_agent_team.process import temporal_runtime
from durable_agent_team.process.settings import ClientSettings, SettingsError, client_settings

T = TypeVar("T")


def read_settings() -> ClientSettings:
    """The client's settings; what is wrong with them ends the command."""
    try:
        return client_settings()
    except SettingsError as error:
        raise CommandError(Code.INPUT_WRONG, f"settings:\n{error}") from error


def with_client(work: Callable[[Client], Awaitable[T]]) -> T:
    """Connects, does the work, and turns what may go wrong into an exit code and a text."""
    settings = read_settings()
    temporal_runtime.start_silent()

    async def session() -> T:
        return await work(await connect(settings))

    with explained():
        return asyncio.run(session())


@contextmanager
def explained() -> Iterator[None]:
    """Errors of the typed client, as the command's end."""
    try:
        yield
    except (ServiceUnavailable, NoWorker) as error:
        raise CommandError(Code.NO_ANSWER, str(error)) from error
    except RunAborted as error:
        raise CommandError(Code.RUN_FAILED, str(error)) from error
    except RunRefused as error:
        raise CommandError(Code.INPUT_WRONG, str(error)) from error
    except RunError as error:
        raise CommandError(Code.INPUT_WRONG, str(error)) from error


def code_of(report: RunReport) -> Code:
    return Code.DONE if report.status == RunStatus.COMPLETED else Code.RUN_FAILED
