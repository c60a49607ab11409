"""`python -m conformance URL`."""

import asyncio
import sys
from collections.abc import Sequence

from conformance import report, setups
from conformance.checks.check import Check
from conformance.options import Options, parse
from conformance.outcome import Outcome
from conformance.runner import NotCheckable, run
from conformance.started_gateway import NotStarted


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    if options.setup is not None:
        return _write_setup(options)
    results: list[tuple[Check, Outcome]] = []

    def done(check: Check, outcome: Outcome) -> None:
        results.append((check, outcome))
        if not options.json:
            print(report.line(check, outcome), flush=True)

    try:
        asyncio.run(run(options, done))
    except (NotCheckable, NotStarted) as error:
        print(f"{options.url} could not be checked: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if options.json:
        print(report.as_document(results, options.url, options.kind))
    else:
        print(f"\n{report.summary(results)}")
    return report.status(results)


def _write_setup(options: Options) -> int:
    assert options.setup is not None
    folder = options.setup.resolve()
    upstream_url = f"http://127.0.0.1:{options.upstream_port}/v1"
    made = setups.setup(options.kind, options.url, upstream_url, options.models, folder)
    try:
        made.write(folder)
    except OSError as error:
        print(f"--setup {options.setup}: {error.strerror}", file=sys.stderr)
        return 2
    print(made.words)
    return 0


if __name__ == "__main__":
    sys.exit(main())
