"""Shared by the benchmark commands: options, progress lines and the result file."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure


def options(
    prog: str, about: str | None, rows: Sequence[str], quick: str
) -> argparse.ArgumentParser:
    """`--quick` and `--only ROW`; the caller may add more."""
    parser = argparse.ArgumentParser(prog=prog, description=about)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument(
        "--only", action="append", choices=rows, metavar="ROW", help=f"of {', '.join(rows)}"
    )
    return parser


def write(
    path: Path,
    figures: Sequence[Figure],
    measured: Mapping[str, Any],
    *,
    seconds: float,
    quick: bool,
    system: str,
) -> None:
    """Writes the figures with every sample, so that others can recompute them."""
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "seconds": round(seconds, 1),
        "machine": {
            "cpus": os.cpu_count(),
            "system": system,
            "python": platform.python_version(),
            "load": os.getloadavg()[0],
        },
        "figures": [each.as_json() for each in figures],
        **measured,
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


def say(line: str) -> None:
    """On the error stream: standard output has only the table."""
    print(line, file=sys.stderr, flush=True)
