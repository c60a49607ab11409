"""The packages, rules and arrows of `docs/architecture.md` are those of the code."""

import ast
import re
from itertools import product
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, blocks
from tools import package_table

PAGE = ROOT / "docs" / "architecture.md"
PRODUCT = ROOT / "durable_agent_team"
ENTRY_POINTS = ("worker.py", "starter.py")


def test_the_page_is_generated_from_the_code() -> None:
    fresh = package_table.architecture()
    assert fresh == PAGE.read_text(encoding="utf-8"), "run `python tools/generate_docs.py`"


def test_every_package_is_in_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for folder in [*PACKAGES.values(), *PRODUCT.glob("*/*/")]:
        if (folder / "__init__.py").exists():
            path = folder.relative_to(ROOT)
            assert f"[{path}/](../{path})" in text


def test_the_files_that_a_package_names_exist() -> None:
    """In its docstring: beside it, in the package that it belongs to, or from the root."""
    packages = [path for folder in PACKAGES.values() for path in folder.rglob("__init__.py")]
    assert len(packages) > 30
    for path in packages:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        places = (path.parent, path.parent.parent, PRODUCT, ROOT)
        for named in re.findall(r"[\w/]+\.py\b", docstring):
            assert any((place / named).exists() for place in places), f"{path} names {named}"


def test_the_arrows_are_the_imports() -> None:
    [diagram] = blocks(PAGE, "mermaid")
    drawn = set()
    for line in diagram.splitlines():
        if "-->" in line:
            left, _, right = re.sub(r"\[[^\]]*\]", "", line).partition("-->")
            drawn |= set(product([left.strip()], [each.strip() for each in right.split("&")]))
    assert drawn == imports()


def test_the_table_allows_what_is_imported() -> None:
    rules = {
        row.split("/](")[0].rpartition("/")[2].removeprefix("| ["): row.rpartition(" | ")[2]
        for row in PAGE.read_text(encoding="utf-8").splitlines()
        if row.startswith("| [")
    }
    for source, target in imports():
        if f"{source}.py" not in ENTRY_POINTS:
            assert target in re.split(r"\W+", rules[source].partition(";")[0]), (source, target)


def test_a_package_without_a_rule_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_table, "_contracts", list)
    with pytest.raises(ValueError, match="no import rule for workflows"):
        package_table.architecture()


def _packages() -> dict[str, Path]:
    inside = [path for path in PRODUCT.glob("*/") if (path / "__init__.py").exists()]
    return {path.name: path for path in (ROOT / "workflows", ROOT / "activities", *inside)}


PACKAGES = _packages()


def imports() -> set[tuple[str, str]]:
    """Who imports whom, by looking at the code itself."""
    found = set()
    files = [(name, path) for name, folder in PACKAGES.items() for path in folder.rglob("*.py")]
    files += [(entry.removesuffix(".py"), ROOT / entry) for entry in ENTRY_POINTS]
    for package, path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            found |= {(package, package_of(module)) for module in modules}
    return {(source, target) for source, target in found if target in PACKAGES and target != source}


def package_of(module: str) -> str:
    parts = module.removeprefix(f"{PRODUCT.name}.").split(".")
    return parts[0]
