"""Printing: lines, JSON, aligned tables, amounts and durations. Does not know the commands.

Everything that a command prints passes through here, and is made safe for a terminal here.
"""

import codecs
import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from durable_agent_team.cli.exit_codes import CommandError, ExitCode
from durable_agent_team.cli.json_layout import laid_out
from durable_agent_team.cli.word_wrap import cells, wrap_line
from durable_agent_team.process.called_program import starter_program
from durable_agent_team.rules.safe_text import for_stream, json_text, one_line, terminal_text

if TYPE_CHECKING:
    from pydantic import BaseModel


def accept_every_text() -> None:
    """Prints a character that the encoding lacks as `\\uXXXX`, which is valid JSON too."""
    codecs.register_error("as-json", lambda error: (_as_json(error), getattr(error, "end", 0)))
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # None where the caller closed it
        if reconfigure is not None:
            reconfigure(errors="as-json")


def _as_json(error: UnicodeError) -> str:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1]


def print_line(text: str = "") -> None:
    """Prints to standard output: as it is to a pipe, without control characters to a terminal.

    Raises `CommandError` if it cannot be written.
    """
    if sys.stdout is None:
        raise _not_writable("it is closed")
    _print(for_stream(text, sys.stdout))


def print_text(text: str) -> None:
    """Prints lines: as they are to a pipe; to a terminal, prose broken between words. Tables and
    lines with a command stay whole: the terminal breaks them, and they can be copied."""
    if sys.stdout is None or not sys.stdout.isatty():
        return print_line(text)
    width, program = shutil.get_terminal_size().columns, starter_program()
    lines: list[str] = []
    for line in terminal_text(text).split("\n"):
        whole = program in line or "  " in line.strip()
        lines += [line] if whole else wrap_line(line, width)
    return print_line("\n".join(lines))


def for_reader(text: str) -> str:
    """A text of a model: JSON laid out for a terminal, and as it is for a pipe."""
    if sys.stdout is None or not sys.stdout.isatty():
        return text
    return laid_out(text) or text


def print_heading(text: str) -> None:
    """Prints a line in bold on a terminal, and with a mark elsewhere."""
    if is_terminal():
        _print(f"\n\033[1m{one_line(text)}\033[0m")
    else:
        print_line(f"\n== {text}")


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _not_writable(str(error.strerror)) from error


def _not_writable(reason: str) -> CommandError:
    problem = f"standard output cannot be written: {reason}"
    return CommandError(ExitCode.INVALID_INPUT, f"{problem} (make room, or send it elsewhere)")


def print_note(text: str) -> None:
    """Prints to standard error, which does not end up in a pipe. Ignores that it is closed.

    Without control characters, if that is a terminal."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(for_stream(text, sys.stderr), file=sys.stderr, flush=True)


def print_json(model: "BaseModel") -> None:
    """Prints a model as one line of JSON. On a terminal the same JSON with more escapes."""
    print_json_text(model.model_dump_json())


def print_json_text(text: str) -> None:
    """Prints JSON that is written already."""
    print_line(json_text(text) if sys.stdout is not None and sys.stdout.isatty() else text)


def print_answer(answer: "BaseModel", text: str, json: bool) -> ExitCode:
    """Prints a command's answer, as JSON for programs or as the text; returns its exit code."""
    if json:
        print_json(answer)
    else:
        print_text(text)
    return ExitCode.DONE


def is_terminal() -> bool:
    """Whether standard output is a terminal with a cursor that can be moved."""
    dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    return not dumb and sys.stdout is not None and sys.stdout.isatty()


def usd(amount: Decimal | None) -> str:
    """Six decimal places (a micro-dollar), so that columns are aligned."""
    return "-" if amount is None else f"{amount:.6f}"


def duration_text(duration: float) -> str:
    """Such as 0.4 s, 12 s, 3 m 05 s, 2 h 10 m."""
    if duration < 10:
        return f"{max(duration, 0):.1f} s"
    whole = round(duration)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} m"


def utc_minute(at: datetime) -> str:
    """The time at which something ends, to the minute: rounded up, so that it has ended by then."""
    return f"{at + timedelta(minutes=1) - timedelta(microseconds=1):%Y-%m-%d %H:%M} UTC"


def elapsed(start: datetime | None, end: datetime | None, now: datetime | None = None) -> str:
    """The time from start to end, or to now. Empty without a start."""
    if start is None:
        return ""
    last = end or now or datetime.now(UTC)
    return duration_text((last - start).total_seconds())


def aligned_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()
) -> str:
    """Columns with two spaces between them; those with an index in `right` are right-aligned."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(cells(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(row: Sequence[str]) -> str:
        spaces = (" " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True))
        aligned = [
            f"{space}{cell}" if i in right else f"{cell}{space}"
            for i, (cell, space) in enumerate(zip(row, spaces, strict=True))
        ]
        return "  ".join(aligned).rstrip()

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])


def flat(text: str) -> str:
    """On one line, so that a text cannot add lines of its own."""
    return " ".join(text.split())


def clip(text: str, width: int) -> str:
    """One line of at most `width` characters."""
    line = flat(text)
    return line if len(line) <= width else f"{line[: max(width - 1, 0)]}…"


def clip_middle(name: str, width: int) -> str:
    """A name of at most `width` characters, cut in the middle: names of one kind mostly begin with
    the same words, and differ at their end."""
    if len(name) <= width:
        return name
    tail = max(width - 1, 0) // 2
    return f"{name[: max(width - 1 - tail, 0)]}…{name[len(name) - tail :]}"
