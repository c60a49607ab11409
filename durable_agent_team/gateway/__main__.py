"""`python -m durable_agent_team.gateway`: runs until SIGTERM. Exit status 2: wrong settings or
arguments."""

import argparse
import asyncio
import gc
import importlib
import importlib.util
import os
import signal
import sys
from collections.abc import Callable

from pydantic import ValidationError

from durable_agent_team.gateway import log_format
from durable_agent_team.gateway.gateway_settings import (
    GatewaySettings,
    describe_problems,
    upstream_environment,
)
from durable_agent_team.gateway.models.model_table import ModelTable
from durable_agent_team.gateway.models.price_file import PriceError
from durable_agent_team.gateway.server import PortTaken, Server
from durable_agent_team.gateway.stores.process_lock import OtherSecret
from durable_agent_team.gateway.stores.sqlite_file import SchemaError
from durable_agent_team.gateway.upstreams.bundled_model_server import ModelMissing
from durable_agent_team.providers.certificates import certificate_problems
from durable_agent_team.providers.otel_variables import forget_unused, otel_problems
from durable_agent_team.providers.process_limits import SERVICE_MEGABYTES, too_low_limit
from durable_agent_team.providers.proxies import proxy_problems


async def serve(settings: GatewaySettings, models: ModelTable) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(settings, models=models)
    await server.start()
    # Modules and models stay: a full collection would walk 70,000 objects while calls wait for it.
    gc.freeze()
    print(f"gateway ready on {server.url}", flush=True)
    await stop.wait()
    await server.stop()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop if it is installed (there is none for Windows): a call takes a third less time."""
    if importlib.util.find_spec("uvloop") is None:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module(
        "uvloop"
    ).new_event_loop
    return factory


def _variable_text(problem: tuple[str, str, str, str]) -> str:
    name, part, what, remedy = problem
    return f"{name}{f' (got {part!r})' if part else ''} {what}: {remedy}"


def report(text: str) -> None:
    """On standard error; what a file or a variable contains does not act on the terminal."""
    print("\n".join(map(log_format.escape_controls, text.split("\n"))), file=sys.stderr)


def parse_arguments() -> None:
    """Prints what the gateway is, for `--help`, and refuses every other argument. Both exit."""
    argparse.ArgumentParser(
        prog="python -m durable_agent_team.gateway",
        description="Serves agents' accounts and paid calls of models over HTTP, until SIGTERM or"
        " SIGINT.",
        epilog="It has no other arguments. Its settings are environment variables or lines of .env:"
        " docs/gateway.md",
    ).parse_args()


def main() -> int:
    parse_arguments()
    log_format.configure()
    if problem := too_low_limit(SERVICE_MEGABYTES):
        print(f"gateway: {problem}", file=sys.stderr)
        return 2
    try:
        settings = GatewaySettings()
        forget_unused(os.environ)
        wrong = [
            *map(_variable_text, otel_problems(os.environ)),
            *map(_variable_text, proxy_problems(os.environ)),
            *map(_variable_text, certificate_problems(os.environ)),
        ]
        if wrong:
            report("\n  ".join(["The gateway's settings are wrong:", *wrong]))
            return 2
        models = settings.models(upstream_environment())
        log_format.configure(settings.log_format, settings.scrubber(*models.secrets))
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(serve(settings, models))
    except ValidationError as error:
        report(describe_problems(error))
        return 2
    except UnicodeDecodeError as error:  # the environment is text, so it was .env
        print(f".env is not UTF-8 text (byte {error.start}). Save it as UTF-8.", file=sys.stderr)
        return 2
    except (PriceError, PortTaken, SchemaError, OtherSecret, ModelMissing) as error:
        report(str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
