"""Which test files need a server: `make fast` leaves them out, `make test` runs them first.

Read from the source, without importing it, so that a new test file is selected correctly with no
list to maintain and `make fast` does not spend its time on importing what it does not run.
"""

import ast
import re
from collections.abc import Iterator, Set
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
STARTERS = {
    "subprocess",
    "create_subprocess_exec",
    "judge_process",
    "stdio_transport",
    "WorkflowEnvironment",
    "running_gateway",
}
"""Names that start a process (a command, a gateway, a worker, a Temporal server, a server of tools)
or a gateway."""
_IMPORT = re.compile(
    r"^\s*(?:from|import)\s+((?:tests|benchmarks)[\w.]*)(?:\s+import\s+(\([^)]*\)|.*))?",
    re.MULTILINE,
)
"""An import of ours: its module, and the names after it."""


@cache
def needs_server(path: Path) -> bool:
    """Whether a test file starts a server or process itself, in a module of `tests` or
    `benchmarks` that it imports, or in a fixture that a `conftest.py` gives it."""
    if any(_has_any(each, STARTERS) for each in _imported(path)):
        return True
    return any(
        _has_any(path, _fixtures(conftest)) and needs_server(conftest)
        for conftest in _conftests(path)
    )


def _imported(path: Path) -> Iterator[Path]:
    """The file and all files of `tests` that it imports, directly or not."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            yield each
            waiting += _imports(each)


def _has_any(path: Path, names: Set[str]) -> bool:
    """Whether the code of a file has one of the names. Its words are searched first: parsing
    every file would take seconds."""
    return not names.isdisjoint(_words(path)) and not names.isdisjoint(_identifiers(path))


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def _words(path: Path) -> frozenset[str]:
    """Those of comments and texts, too."""
    return frozenset(re.findall(r"\w+", _text(path)))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(_text(path))


@cache
def _imports(path: Path) -> list[Path]:
    modules: list[str] = []
    for module, names in _IMPORT.findall(_text(path)):
        modules += [module, *(f"{module}.{name}" for name in re.findall(r"\w+", names))]
    files = [(TESTS.parent / module.replace(".", "/")).with_suffix(".py") for module in modules]
    return [file for file in files if file.exists()]


@cache
def _identifiers(path: Path) -> set[str]:
    """Names, attributes, imported names and arguments: a fixture is used as an argument."""
    found: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
    return found


@cache
def _fixtures(conftest: Path) -> set[str]:
    """What a `conftest.py` defines or imports: more than its fixtures, which is the safe side."""
    defined = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = {node.name for node in _tree(conftest).body if isinstance(node, defined)}
    for node in _tree(conftest).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests."):
            found |= {each.asname or each.name for each in node.names}
    return found


def _conftests(path: Path) -> list[Path]:
    """Of its folder and the folders above, below `tests`; `tests/conftest.py` starts nothing."""
    folders = [folder for folder in path.parents if TESTS in folder.parents]
    found = [folder / "conftest.py" for folder in folders]
    return [each for each in found if each.exists() and each != path]
