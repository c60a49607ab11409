"""`python -m benchmarks.against REVISION`: this code and an older one, measured in turns.

The revision is checked out below `.data/against/` and runs its own `python -m benchmarks` with this
Python, so that both sides have the same dependencies. Prints this code's figures divided by the
other's, round by round, and writes `.data/against.json`. Exit codes: 0 measured, 1 a side failed.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.command import say
from benchmarks.figures import Figure, figure, table
from durable_agent_team.process.project_root import PROJECT_ROOT

ROWS = ("fan", "gateway")
THESE = ("benchmarks", "tests/support")
"""What `--these-rows` copies: the benchmark, and the scripted upstream that it calls."""
HOME = PROJECT_ROOT / ".data" / "against"
RESULT = PROJECT_ROOT / ".data" / "against.json"

Medians = dict[tuple[str, str], float]
"""Of one side in one round: each figure's median, by row and name."""


class SideFailed(Exception):
    """A revision could not be checked out or measured; the text is the command's output."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against", description=__doc__)
    parser.add_argument("revision", help="a git revision that has a benchmark with these rows")
    parser.add_argument("--only", action="append", metavar="ROW", help=f"default: {ROWS}")
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="of each side; default 3"
    )
    parser.add_argument(
        "--these-rows",
        action="store_true",
        help="the other side runs this code's benchmark, for rows that it does not have",
    )
    parser.add_argument("--quick", action="store_true", help="each side's own --quick")
    given = parser.parse_args(arguments)
    options = [option for row in given.only or ROWS for option in ("--only", row)]
    options += ["--quick"] if given.quick else []
    try:
        with checked_out(given.revision) as other:
            if given.these_rows:
                for each in THESE:
                    shutil.copytree(PROJECT_ROOT / each, other / each, dirs_exist_ok=True)
            rounds = [round_of(number, other, options) for number in range(given.rounds)]
    except SideFailed as error:
        print(f"the comparison failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    figures = ratios(rounds)
    report = {
        "revision": given.revision,
        "quick": given.quick,
        "figures": [each.as_json() for each in figures],
    }
    RESULT.write_text(json.dumps(report, indent=1) + "\n")
    print(table(figures))
    print(f"\nthis code / {given.revision}, round by round: {RESULT}")
    return 0


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """The revision in a git worktree of its own, which is removed afterwards."""
    folder = HOME / "other"
    remove(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    git("worktree", "add", "--detach", "--force", str(folder), revision)
    try:
        yield folder
    finally:
        remove(folder)


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    git("worktree", "prune")


def git(*arguments: str) -> None:
    run(["git", *arguments], PROJECT_ROOT, capture=True)


def round_of(number: int, other: Path, options: Sequence[str]) -> tuple[Medians, Medians]:
    """This code's figures and the other's. The side that begins changes from round to round."""
    sides = {"this": PROJECT_ROOT, "other": other}
    found: dict[str, Medians] = {}
    for side in sorted(sides, reverse=number % 2 == 0):
        say(f"round {number + 1}: {side} code")
        found[side] = measure(sides[side], options)
    return found["this"], found["other"]


def measure(root: Path, options: Sequence[str]) -> Medians:
    """Runs the benchmark of the code in `root`, and reads its result file."""
    run([sys.executable, "-m", "benchmarks", *options], root)
    report = json.loads((root / ".data" / "bench.json").read_text())
    return {(each["row"], each["name"]): each["value"] for each in report["figures"]}


def run(command: Sequence[str], root: Path, *, capture: bool = False) -> None:
    """Its table is left out, its progress is shown. Raises `SideFailed`."""
    error = subprocess.PIPE if capture else None
    done = subprocess.run(
        command, cwd=root, stdout=subprocess.DEVNULL, stderr=error, text=True, check=False
    )
    if done.returncode:
        said = (done.stderr or "its output is above").strip()
        raise SideFailed(f"{' '.join(command)} exited with {done.returncode}: {said}")


def ratios(rounds: Sequence[tuple[Medians, Medians]]) -> list[Figure]:
    """The figures that both sides have in every round, where the other's is not zero."""
    shared = [
        key for key in rounds[0][0] if all(key in this and other.get(key) for this, other in rounds)
    ]
    return [
        figure(row, name, [this[row, name] / other[row, name] for this, other in rounds], "x")
        for row, name in shared
    ]


if __name__ == "__main__":
    sys.exit(main())
