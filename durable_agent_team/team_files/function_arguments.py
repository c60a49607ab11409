"""Arguments of a function that a team file names (`key_argument`, `amount`): whether it has them.

Read from the text of its module. Of a function whose signature that does not show, since it is
decorated or defined twice, nothing is said: the worker says it when it lists the tools.
"""

import ast
from collections.abc import Iterator

from durable_agent_team.contracts.plan import Problem
from durable_agent_team.contracts.tool_kinds import PythonTool
from durable_agent_team.rules.nearest_names import nearest

KEEPS_SIGNATURE = "once"
"""Our own decorator; any other one may give the function another signature."""
MAX_NAMED = 20


def argument_warnings(tree: ast.Module, tool: PythonTool, place: str) -> Iterator[Problem]:
    """For a tool whose function is in this module."""
    function = tool.python.partition(":")[2]
    names = _argument_names(tree, function)
    if names is None:
        return
    for key in ("key_argument", "amount"):
        named = getattr(tool, key)
        if named is not None and named not in names:
            others = [each for each in names if each != tool.key_argument]
            close = nearest(named, others)
            has = ", ".join(others[:MAX_NAMED]) or "none"
            remedy = f"did you mean `{close}`?" if close else f"it has: {has}"
            if key == "key_argument" and not close:
                remedy = f"add it to the function: `{named}: str`"
            yield Problem(
                field=f"{place}.{key}",
                value=named,
                what=f"{tool.python} has no argument of this name"[:1000],
                remedy=remedy[:1000],
            )


def _argument_names(tree: ast.Module, function: str) -> list[str] | None:
    """None where the text does not say which arguments the function has."""
    binding = [each for each in ast.walk(tree) if names_bound(each) & {function, "*"}]
    if len(binding) != 1 or binding[0] not in tree.body:
        return None
    [made] = binding
    if not isinstance(made, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    takes = made.args
    if not all(map(_keeps_signature, made.decorator_list)) or takes.vararg or takes.kwarg:
        return None
    return [each.arg for each in (*takes.posonlyargs, *takes.args, *takes.kwonlyargs)]


def names_bound(node: ast.AST) -> set[str]:
    """The names to which this node of a module gives a meaning; `*` for those that it imports
    without naming them."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {each.asname or each.name.partition(".")[0] for each in node.names}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
        return {node.id}
    return set()


def _keeps_signature(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Name) and called.id == KEEPS_SIGNATURE
