"""How a command uses Temporal: settings, connection, and errors as exit codes.

The imports are inside the functions: `--help` must not wait for the Temporal SDK.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from durable_agent_team.cli.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from temporalio.client import Client

    from durable_agent_team.client.runs import RunHandle
    from durable_agent_team.process.settings import ClientSettings

T = TypeVar("T")


def with_run(run: str, work: "Callable[[RunHandle], Awaitable[T]]") -> T:
    """Connects, and returns what `work` returns for this run."""
    from durable_agent_team.client.runs import get_run

    async def on_run(client: "Client") -> T:
        return await work(get_run(client, run))

    return with_client(on_run)


def with_client(work: "Callable[[Client], Awaitable[T]]") -> T:
    """Connects, and returns what `work` returns. Raises `CommandError`."""
    import asyncio

    from durable_agent_team.client.connection import connect
    from durable_agent_team.process import temporal_runtime

    settings = read_settings()
    temporal_runtime.start_silent()

    async def connected() -> T:
        return await work(await connect(settings))

    with _client_errors():
        return asyncio.run(connected())


def read_settings() -> "ClientSettings":
    """The client's settings. Raises `CommandError` for an invalid one, and where the local stack is
    meant and not up."""
    from durable_agent_team.process.settings import SettingsError, StackNotUp, client_settings

    try:
        return client_settings()
    except SettingsError as error:
        raise CommandError(ExitCode.INVALID_INPUT, f"settings:\n{error}") from error
    except StackNotUp as error:
        raise CommandError(ExitCode.NO_ANSWER, str(error)) from error


@contextmanager
def _client_errors() -> Iterator[None]:
    """Turns the client's exceptions into `CommandError`s."""
    from durable_agent_team.client.connection import ServiceUnavailable
    from durable_agent_team.client.exceptions import NoWorker, RunAborted, RunError, SentAsSignal

    try:
        yield
    except (ServiceUnavailable, NoWorker) as error:
        raise CommandError(ExitCode.NO_ANSWER, f"{error}{_full_disk()}") from error
    except RunAborted as error:
        raise CommandError(ExitCode.RUN_FAILED, str(error)) from error
    except SentAsSignal as error:
        raise CommandError(ExitCode.DONE, str(error)) from error
    except RunError as error:
        raise CommandError(ExitCode.INVALID_INPUT, str(error)) from error


def _full_disk() -> str:
    """On a line of its own, where Temporal is that of the local stack, and has no room."""
    from durable_agent_team.local_stack.disk_space import no_room
    from durable_agent_team.local_stack.lifecycle import running_stack
    from durable_agent_team.process.settings import client_settings

    stack = running_stack()
    if stack is None or client_settings().temporal_address != stack.temporal_address:
        return ""
    why = no_room(stack.folder)
    return f"\n{why}" if why else ""
