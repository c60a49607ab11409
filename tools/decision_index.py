"""Makes `docs/adr/README.md`: the index of the decisions."""

import re
from pathlib import Path

DECISIONS = Path(__file__).resolve().parent.parent / "docs" / "adr"

HEAD = """# Decisions

<!-- Made from the records in this folder by `python tools/generate_docs.py`. Do not edit. -->

Each record says what was decided, why, what else was considered, and what follows. A record is not
rewritten when a later one changes it: it says which one does.

| | decision | in short |
| --- | --- | --- |
"""


def decision_index() -> str:
    """Returns the page: number, title and the decision's first sentence of each record."""
    return HEAD + "".join(_row(path) for path in sorted(DECISIONS.glob("[0-9]*.md")))


def _row(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    number, title = text.split("\n", 1)[0].removeprefix("# ").split(" ", 1)
    superseded = re.search(r"^Superseded by \[(\d+)\]\(([^)]+)\)", text, re.MULTILINE)
    short = (
        f"Superseded by [{superseded[1]}]({superseded[2]})."
        if superseded
        else _first_sentence(text)
    )
    return f"| [{number}]({path.name}) | {_cell(title)} | {_cell(short)} |\n"


def _first_sentence(record: str) -> str:
    """Of the decision, without its links to the code."""
    decision = record.split("**Decision.**", 1)[1].split("\n\n", 1)[0]
    one_line = " ".join(decision.split())
    without_links = re.sub(r" ?\(\[[^]]+\]\([^)]+\)\)", "", one_line)
    plain = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", without_links)
    return re.split(r"(?<=[.:])\s+(?=[A-Z`0-9(-])", plain, maxsplit=1)[0].rstrip(":")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
