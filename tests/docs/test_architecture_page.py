"""The rooms and the arrows of `docs/architecture.md` are those of the code."""

import ast
import re
from itertools import product

from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "architecture.md"
ROOMS = ("contracts", "workflows", "activities", "atxp", "gateway", "runtime", "cli")
ENTRIES = ("worker.py", "starter.py")


def test_every_room_is_in_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    folders = {each.parent.name for each in ROOT.glob("*/__init__.py")}
    assert set(ROOMS) <= folders
    for folder in folders:
        assert f"[{folder}/](../{folder})" in text


def test_the_arrows_are_the_imports() -> None:
    [diagram] = blocks(PAGE, "mermaid")
    drawn = set()
    for line in diagram.splitlines():
        if "-->" in line:
            left, _, right = re.sub(r"\[[^\]]*\]", "", line).partition("-->")
            drawn |= set(product([left.strip()], [each.strip() for each in right.split("&")]))
    assert drawn == imports()


def imports() -> set[tuple[str, str]]:
    """Who imports whom, by looking at the code itself."""
    found = set()
    files = [(room, path) for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    files += [(entry.removesuffix(".py"), ROOT / entry) for entry in ENTRIES]
    for room, path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            found |= {(room, name.split(".")[0]) for name in names}
    return {(room, name) for room, name in found if name in ROOMS and name != room}
