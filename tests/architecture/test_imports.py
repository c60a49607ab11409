"""The import rules of pyproject.toml hold, and nothing is outside of the packages they cover."""

import ast
import subprocess
import sys
from collections.abc import Container
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "durable_agent_team"


def test_the_import_rules_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_no_files_import_each_other() -> None:
    """Neither inside of functions nor for types alone: what two files need belongs in a third."""
    names = {
        _module(path): path
        for package in (PACKAGE, "workflows", "activities")
        for path in (ROOT / package).rglob("*.py")
    }
    imports = {name: _imports(path, names) - {name} for name, path in names.items()}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail("a circle of imports: " + " <- ".join(error.args[1]))


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path, names: Container[str]) -> set[str]:
    """The modules of `names` that the file imports. `from package import module` is the module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            modules = {f"{node.module}.{each.name}" for each in node.names}
            found |= {each if each in names else node.module for each in modules}
    return {each for each in found if each in names}


def test_ruff_reports_a_clock_in_deterministic_code(tmp_path: Path) -> None:
    probe = tmp_path / "workflows" / "probe.py"
    probe.parent.mkdir()
    probe.write_text("import time\n\nNOW = time.time()\n")
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run(
        [ruff, "check", "--config", ROOT / "pyproject.toml", "--no-cache", probe],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "TID251" in done.stdout


@pytest.mark.parametrize(
    ("path", "forbidden"),
    [
        ("starter.py", {"activities", "workflows", "worker"}),
        (
            "worker.py",
            {"starter", f"{PACKAGE}.cli", f"{PACKAGE}.gateway", f"{PACKAGE}.local_stack"},
        ),
    ],
)
def test_the_entry_points_import_nothing_forbidden(path: str, forbidden: set[str]) -> None:
    """The linter checks packages only; these two are modules."""
    assert not imported_by(ROOT / path) & forbidden


def test_no_package_imports_an_entry_point() -> None:
    for package in (PACKAGE, "workflows", "activities"):
        for path in (ROOT / package).rglob("*.py"):
            assert not imported_by(path) & {"worker", "starter"}, path


def test_nothing_else_is_a_top_level_module() -> None:
    """What is not the owner's or a known folder belongs in the package."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    python = {Path(line).parts[0] for line in listed.stdout.splitlines() if line.endswith(".py")}
    entry_points = {"worker.py", "starter.py"}
    packages = {PACKAGE, "workflows", "activities"}
    others = {"tests", "benchmarks", "conformance", "docs", "teams", "tools"}
    assert python == entry_points | packages | others


def imported_by(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {package_of(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(package_of(node.module))
    return names


def package_of(module: str) -> str:
    """The top-level package; in `durable_agent_team`, the package below it."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == PACKAGE else parts[0]
