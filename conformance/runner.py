"""Starts what the checks need, makes sure that the gateway calls the scripted upstream, and runs
the checks one after the other."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from conformance.adapters.adapter import Adapter, Admin, GatewayRefused, Need, NoSuchAccount
from conformance.adapters.litellm import LiteLlm
from conformance.adapters.ours import OurGateway
from conformance.adapters.ready_keys import ReadyKeys
from conformance.bench import Bench
from conformance.checks import CHECKS
from conformance.checks.check import Check
from conformance.gateway_door import Door
from conformance.options import Options
from conformance.outcome import Outcome, Verdict, not_applicable
from conformance.setups import by_hand
from conformance.started_gateway import NotStarted, StartedGateway
from conformance.upstream import OK, Upstream

CHECK_SECONDS = 300.0


class NotCheckable(Exception):
    """The checks cannot begin; the message says what has to be done."""


async def run(options: Options, done: Callable[[Check, Outcome], None]) -> None:
    """Calls `done` after each check. `NotCheckable`, `NotStarted`."""
    async with _bench(options) as bench:
        await _reaches_upstream(bench)
        for check in CHECKS:
            if check.name in options.checks:
                done(check, await _outcome(check, bench))


async def _outcome(check: Check, bench: Bench) -> Outcome:
    offered = set(bench.adapter.offers)
    offered |= {Need.RESTART} if bench.gateway else set()
    offered |= {Need.UNPRICED} if bench.models.unpriced else set()
    for missing in sorted(check.needs - offered, key=lambda need: need.name):
        return not_applicable(missing.value)
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check.run(bench)
    except NoSuchAccount as error:
        return not_applicable(str(error))
    except TimeoutError:
        return Outcome(Verdict.FAIL, {}, (f"it was not done after {CHECK_SECONDS:g} s",))
    except (GatewayRefused, NotStarted, httpx.HTTPError) as error:
        return Outcome(Verdict.FAIL, {}, (f"{type(error).__name__}: {error}",))


@asynccontextmanager
async def _bench(options: Options) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        client = httpx.AsyncClient(timeout=None, limits=limits, trust_env=False)
        http = await stack.enter_async_context(client)
        try:
            upstream = await stack.enter_async_context(Upstream(options.upstream_port))
        except OSError as error:
            reason = f"--upstream-port {options.upstream_port} cannot be used: {error.strerror}"
            raise NotCheckable(reason) from error
        gateway = None
        if options.start:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            environment = {"CONFORMANCE_UPSTREAM_URL": upstream.url}
            log = Path(folder) / "gateway.log"
            gateway = StartedGateway(options.start, options.ready_url, log, environment)
            stack.push_async_callback(gateway.kill)
            await gateway.start()
        adapter = _adapter(options, http)
        yield Bench(
            Door(http, options.url),
            upstream,
            adapter,
            options.models,
            options.settle_seconds,
            gateway,
        )


def _adapter(options: Options, http: httpx.AsyncClient) -> Adapter:
    admin = Admin(http, options.url, options.admin_key)
    adapter: OurGateway | LiteLlm | ReadyKeys
    if options.kind == "keys":
        adapter = ReadyKeys(options.keys)
    else:
        adapter = OurGateway(admin) if options.kind == "ours" else LiteLlm(admin)
    if options.books_delay is not None:
        adapter.books_delay = options.books_delay
    return adapter


async def _reaches_upstream(bench: Bench) -> None:
    script = bench.upstream.script(OK)
    try:
        account = await bench.roomy()
        answer = await bench.send(bench.call(account, script))
    except (GatewayRefused, httpx.HTTPError) as error:
        raise NotCheckable(f"no account could be made: {type(error).__name__} {error}") from error
    if script.calls and answer.whole:
        return
    said = bench.gateway.said() if bench.gateway else ""
    raise NotCheckable(
        f"the first call did not reach the scripted upstream and come back ({answer.brief()}).\n"
        f"{by_hand(bench.upstream.url, bench.models)}\n{said}".rstrip()
    )
