"""Functions that a team file names (`module:function`): whether their code can be found, with the
arguments that their entry names.

Nothing is imported: the file is read. What only an import shows, the worker reports when it lists
the tools, or starts the program.
"""

import ast
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.program_kinds import PythonRun
from durable_agent_team.contracts.team import Team
from durable_agent_team.contracts.tool_kinds import PythonTool
from durable_agent_team.rules.nearest_names import nearest
from durable_agent_team.rules.programs import programs_of
from durable_agent_team.team_files.function_arguments import argument_warnings, names_bound

MOST_BYTES = 1_000_000


def function_warnings(team: Team) -> Iterator[Problem]:
    """For a team whose paths are absolute. Warnings, since a worker elsewhere may have more."""
    for name, run in programs_of(team).items():
        if isinstance(run, PythonRun):
            code = _code_of(run.python, run.directory)
            is_isolated = run.environment is not None
            found = _warning(run.python, run.directory, code, is_isolated=is_isolated)
            yield from _placed(f"agents.{name}.run", run.python, found)
    for name, agent in team.agents.items():
        for index, tool in enumerate(agent.tools):
            if isinstance(tool, PythonTool):
                place = f"agents.{name}.tools[{index}]"
                code = _code_of(tool.python, tool.directory)
                found = _warning(tool.python, tool.directory, code, is_isolated=False)
                yield from _placed(place, tool.python, found)
                if found is None and code.tree is not None:
                    yield from argument_warnings(code.tree, tool, place)


def _placed(field: str, value: str, found: tuple[str, str] | None) -> Iterator[Problem]:
    if found is not None:
        what, remedy = found
        yield Problem(field=f"{field}.python", value=value, what=what[:1000], remedy=remedy[:1000])


@dataclass(frozen=True)
class _Code:
    """A module's file, and its text, parsed; None where there is none, or it cannot be parsed."""

    file: Path | None
    tree: ast.Module | None


def _code_of(named: str, directory: str | None) -> _Code:
    file = _file_of(named.partition(":")[0], Path(directory or "."))
    return _Code(file, _tree_of(file) if file is not None else None)


def _warning(
    named: str, directory: str | None, code: _Code, *, is_isolated: bool
) -> tuple[str, str] | None:
    """`is_isolated`: its environment may have the module, and is not there yet."""
    module, _, function = named.partition(":")
    folder = Path(directory or ".")
    if code.file is None:
        if is_isolated or _is_made_elsewhere(module, folder) or _is_installed(module):
            return None
        path = "/".join(module.split("."))
        return (
            f"there is no module {module} in {folder}",
            f"write {path}.py there, or name the folder as `directory`",
        )
    names = _names_in(code.tree) if code.tree is not None else None
    if names is None or function in names:
        return None
    close = nearest(function, sorted(names))
    remedy = f"did you mean `{module}:{close}`?" if close else "define it there"
    return f"{code.file} has no {function}", remedy


def _file_of(module: str, folder: Path) -> Path | None:
    base = folder.joinpath(*module.split("."))
    with suppress(OSError, ValueError):
        for file in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
            if file.is_file():
                return file
    return None


def _is_made_elsewhere(module: str, folder: Path) -> bool:
    """Whether something else than a `.py` file may be the module: a compiled one, or what the code
    of its package adds."""
    file = folder.joinpath(*module.split("."))
    package = folder / module.partition(".")[0] / "__init__.py"
    with suppress(OSError, ValueError):
        if any(file.parent.glob(f"{file.name}.*.so")):
            return True
        text = package.read_bytes()[:MOST_BYTES] if "." in module and package.is_file() else b""
        return any(word in text for word in (b"__path__", b"modules", b"import_module"))
    return False


def _is_installed(module: str) -> bool:
    first = module.partition(".")[0]
    with suppress(ImportError, ValueError, AttributeError):
        return first in sys.modules or find_spec(first) is not None
    return False


def _tree_of(file: Path) -> ast.Module | None:
    """The module's text, parsed; None where that cannot be done."""
    with suppress(OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return ast.parse(file.read_bytes()) if file.stat().st_size <= MOST_BYTES else None
    return None


def _names_in(tree: ast.Module) -> set[str] | None:
    """What the module defines; None where its text does not say that."""
    names = set().union(*map(names_bound, ast.walk(tree)))
    says_all = not names & {"*", "__getattr__"} and "globals" not in _used_in(tree)
    return names if says_all else None


def _used_in(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
