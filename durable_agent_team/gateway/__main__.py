"""`python -m durable_agent_team.gateway`: serves until SIGTERM. Exit 2: a setting is wrong."""

import asyncio
import importlib
import importlib.util
import os
import signal
import sys
from collections.abc import Callable

from pydantic import ValidationError

from durable_agent_team.gateway import log_format
from durable_agent_team.gateway.calls.prices import PriceError
from durable_agent_team.gateway.server import PortTaken, Server
from durable_agent_team.gateway.settings import Settings, describe
from durable_agent_team.gateway.stores.sqlite_schema import SchemaError
from durable_agent_team.gateway.telemetry import forget_empty, problems
from durable_agent_team.gateway.upstreams.bundled_model_server import ModelMissing


async def serve(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(settings)
    await server.start()
    print(f"gateway ready on {server.url}", flush=True)
    await stop.wait()
    await server.stop()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop where it is installed (it has no Windows): a third less time for each call."""
    if importlib.util.find_spec("uvloop") is None:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module(
        "uvloop"
    ).new_event_loop
    return factory


def main() -> int:
    log_format.configure()
    try:
        settings = Settings()
        forget_empty(os.environ)
        if wrong := problems(os.environ):
            print("\n  ".join(["The gateway's settings are wrong:", *wrong]), file=sys.stderr)
            return 2
        log_format.configure(settings.log_format)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(serve(settings))
    except ValidationError as error:
        print(describe(error), file=sys.stderr)
        return 2
    except UnicodeDecodeError as error:  # what stands in the environment is text by then
        print(f".env is no UTF-8 text (byte {error.start}). Save it as such.", file=sys.stderr)
        return 2
    except (PriceError, PortTaken, SchemaError, ModelMissing) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
