"""Generates the table and the diagram of packages in `docs/architecture.md`.

The rules are the contracts of import-linter in `pyproject.toml`, the descriptions the first lines
of the packages' docstrings, and the arrows the imports in the code.
"""

import ast
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
PRODUCT = "durable_agent_team"
ROOTS = ("workflows", "activities", PRODUCT)
ENTRY_POINTS = ("worker", "starter")


def architecture() -> str:
    """The page, with its marked blocks replaced by what the code says now."""
    text = PAGE.read_text(encoding="utf-8")
    for name, lines in (("packages", table()), ("imports", diagram())):
        start, end = f"<!-- {name}: made by tools/generate_docs.py -->", f"<!-- end of {name} -->"
        if text.count(start) != 1 or text.count(end) != 1:
            raise ValueError(f"{PAGE.name} must have {start} and {end}, once each")
        before, _, rest = text.partition(start)
        text = "\n".join([f"{before}{start}", "", *lines, "", end]) + rest.partition(end)[2]
    return text


def table() -> Iterator[str]:
    """One row for each package; then the contracts about anything else, such as layers."""
    contracts = _contracts()
    names = packages()
    yield "| package | what belongs there | may import, of the project |"
    yield "| --- | --- | --- |"
    for package in names:
        for path in _with_subpackages(package):
            rule = _may_import(package, names, contracts) if path == _folder(package) else ""
            place = path.relative_to(ROOT).as_posix()
            yield f"| [{place}/](../{place}) | {_first_line(path)} | {rule} |"
    others = [each["name"] for each in contracts if not _is_of_packages(each, names)]
    if others:
        yield from ("", "Further rules:", "")
        yield from (f"- {each}" for each in others)


def diagram() -> Iterator[str]:
    yield "```mermaid"
    yield "flowchart LR"
    imports = imports_of_packages()
    for name in (*ENTRY_POINTS, *map(_short, packages())):
        node = f"{name}[{name}.py]" if name in ENTRY_POINTS else name
        targets = sorted(target for source, target in imports if source == name)
        yield f"  {node} --> {' & '.join(targets)}" if targets else f"  {node}"
    yield "```"


def packages() -> list[str]:
    """The packages that have import rules, as modules: `durable_agent_team.rules`."""
    inside = sorted(path.parent.name for path in (ROOT / PRODUCT).glob("*/__init__.py"))
    return ["workflows", "activities", *(f"{PRODUCT}.{name}" for name in inside)]


def imports_of_packages() -> set[tuple[str, str]]:
    """Who imports whom, by their short names."""
    names = packages()
    files = [(each, path) for each in names for path in _folder(each).rglob("*.py")]
    files += [(each, ROOT / f"{each}.py") for each in ENTRY_POINTS]
    return {
        (_short(source), _short(target))
        for source, path in files
        for module in _imported_modules(path)
        for target in names
        if target != source and _is_in(module, target)
    }


def _imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return contracts


def _is_of_packages(contract: Mapping[str, Any], names: Iterable[str]) -> bool:
    return contract["type"] == "forbidden" and set(contract["source_modules"]) <= set(names)


def _may_import(package: str, names: list[str], contracts: list[dict[str, Any]]) -> str:
    own = [
        each for each in contracts
        if _is_of_packages(each, names) and package in each["source_modules"]
    ]  # fmt: skip
    if not own:
        raise ValueError(f"pyproject.toml has no import rule for {package}")
    forbidden = {module for each in own for module in each["forbidden_modules"]}
    allowed = [_short(each) for each in names if each not in forbidden | {package}]
    libraries = sorted(each for each in forbidden if each.split(".")[0] not in ROOTS)
    text = ", ".join(allowed) or "nothing"
    return f"{text}; not {', '.join(libraries)}" if libraries else text


def _with_subpackages(package: str) -> list[Path]:
    return sorted(path.parent for path in _folder(package).rglob("__init__.py"))


def _first_line(path: Path) -> str:
    tree = ast.parse((path / "__init__.py").read_text(encoding="utf-8"))
    text = ast.get_docstring(tree) or ""
    if not text:
        raise ValueError(f"{path / '__init__.py'} has no docstring")
    return text.partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def _folder(package: str) -> Path:
    return ROOT.joinpath(*package.split("."))


def _short(package: str) -> str:
    return package.rpartition(".")[2]


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
