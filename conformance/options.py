"""The command line."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from conformance.bench import Models
from conformance.checks import CHECKS

NAMES = [each.name for each in CHECKS]
KINDS = ("ours", "litellm", "keys")
READY_PATHS = {"ours": "/healthz", "litellm": "/health/readiness", "keys": "/"}
DESCRIPTION = """Kills, races and breaks an OpenAI-compatible gateway with budgets, and compares its
books with the calls that reach a scripted upstream. Exit status: 0 every check passes or is not
applicable, 1 a check fails, 2 the gateway could not be checked."""
EPILOG = """The gateway has to be pointed at the scripted upstream, which listens while the checks
run: `--setup DIR` writes the configuration and prints the command."""


@dataclass(frozen=True)
class Options:
    url: str
    kind: str
    admin_key: str
    keys: tuple[tuple[str, Decimal], ...]
    models: Models
    upstream_port: int
    start: str | None
    ready_url: str
    checks: tuple[str, ...]
    json: bool
    books_delay: float | None
    settle_seconds: float
    setup: Path | None


def parse(arguments: Sequence[str] | None = None) -> Options:
    """Ends the process with status 2 and a message if the options are wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    admin_key = given.admin_key or os.environ.get("CONFORMANCE_ADMIN_KEY", "")
    if given.setup is None:
        if given.gateway == "keys" and not given.key:
            parser.error("--gateway keys needs --key KEY=USD, best twice: one to be exhausted")
        if given.gateway != "keys" and not admin_key:
            parser.error(
                f"--gateway {given.gateway} needs --admin-key, or CONFORMANCE_ADMIN_KEY in the"
                " environment"
            )
    url = given.url.rstrip("/").removesuffix("/v1")
    if not url.startswith(("http://", "https://")):
        parser.error(f"URL {given.url!r} does not begin with http:// or https://")
    models = Models(
        given.model, given.unpriced_model or None, given.input_price, given.output_price
    )
    ready = given.ready or READY_PATHS[given.gateway]
    return Options(
        url,
        given.gateway,
        admin_key,
        tuple(given.key),
        models,
        given.upstream_port,
        given.start,
        url + "/" + ready.lstrip("/"),
        tuple(each for each in given.only or NAMES if each not in given.skip),
        given.json,
        given.books_delay,
        given.settle,
        given.setup,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m conformance", description=DESCRIPTION, epilog=EPILOG
    )
    add = parser.add_argument
    add("url", metavar="URL", help="the gateway's root, such as http://127.0.0.1:8402")
    add("--gateway", choices=KINDS, default="ours", help="how accounts are made (default: ours)")
    add("--admin-key", metavar="KEY", help="makes accounts; also CONFORMANCE_ADMIN_KEY")
    add(
        "--key",
        metavar="KEY=USD",
        type=_key,
        action="append",
        default=[],
        help="with --gateway keys: a ready key and its unspent budget; repeat it, since the smaller"
        " budgets are exhausted",
    )
    add("--start", metavar="COMMAND", help="starts the gateway, so that it can be killed")
    add("--ready", metavar="PATH", help="answers with a status below 500 once it is started")
    add("--upstream-port", metavar="PORT", type=int, default=9100, help="default: 9100")
    add("--model", metavar="NAME", default="conformance", help="default: conformance")
    add(
        "--unpriced-model",
        metavar="NAME",
        default="conformance-unpriced",
        help="default: conformance-unpriced; '' if there is none",
    )
    for name, default in (("input", "1"), ("output", "2")):
        add(
            f"--{name}-price",
            metavar="USD",
            type=_usd,
            default=Decimal(default),
            help=f"per million {name} tokens of the model (default: {default})",
        )
    add(
        "--books-delay",
        metavar="SECONDS",
        type=float,
        help="how long the books take to show a call (default: by the kind of gateway)",
    )
    add("--settle", metavar="SECONDS", type=float, default=5.0, help="and at most (default: 5)")
    for name, text in (("--only", "this check"), ("--skip", "all but this check")):
        add(
            name,
            metavar="CHECK",
            choices=NAMES,
            action="append",
            default=[],
            help=f"{text}; can be repeated",
        )
    add("--json", action="store_true", help="print JSON instead of a table")
    add("--setup", metavar="DIR", type=Path, help="write the gateway's configuration and end")
    return parser


def _usd(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount") from None
    if not value.is_finite() or value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive amount")
    return value


def _key(text: str) -> tuple[str, Decimal]:
    key, equals, budget = text.rpartition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError("expected KEY=USD, such as sk-123=0.05")
    return key, _usd(budget)
