"""`python -O` removes assertions: in the product they may only narrow types for mypy."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("durable_agent_team", "workflows", "activities")


@pytest.mark.parametrize("package", PRODUCT)
def test_assertions_only_narrow_types(package: str) -> None:
    checks = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert) and not narrows(node.test)
    ]
    assert not checks, "raise an error of your own instead:\n" + "\n".join(checks)


def narrows(test: ast.expr) -> bool:
    match test:
        case ast.Compare(ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]):
            return True
        case ast.Call(func=ast.Name(id="isinstance")):
            return True
    return False
