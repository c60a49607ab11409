"""A tool's schema as a grammar can follow it. What it leaves out is checked afterwards.

What llama.cpp refuses (`items: false`, a `pattern` that is not anchored), follows wrongly (`\\d`,
`\\w` in patterns; a large `maxLength`), or ignores was tried with the bundled model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

LONGEST = 500
"""Of `maxLength` and `maxItems`: larger ones make a grammar too large."""
LEFT_OUT = frozenset(
    {"$schema", "$id", "title", "description", "default", "examples", "format", "not", "multipleOf"}
)
MAX_DEPTH = 20


def generation_schema(schema: Any, depth: int = 0) -> dict[str, Any]:
    """Without what a grammar cannot follow. Anything may be an object that is none."""
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return {}
    kept: dict[str, Any] = {}
    for name, value in schema.items():
        if name not in LEFT_OUT and not _is_too_much(name, value):
            kept[name] = _inside(name, value, depth)
    if depth == 0 and "properties" in kept:
        kept.setdefault("additionalProperties", False)
    return kept


def _inside(name: str, value: Any, depth: int) -> Any:
    if name in ("properties", "$defs", "definitions", "patternProperties"):
        if isinstance(value, Mapping):
            return {key: generation_schema(each, depth + 1) for key, each in value.items()}
        return {}
    if name in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
        return [generation_schema(each, depth + 1) for each in value]
    if name in ("items", "additionalProperties") and isinstance(value, Mapping):
        return generation_schema(value, depth + 1)
    return value


def _is_too_much(name: str, value: Any) -> bool:
    if name == "pattern":
        anchored = isinstance(value, str) and value.startswith("^") and value.endswith("$")
        return not anchored or "\\" in value or "(?" in value
    if name in ("maxLength", "maxItems"):
        return not isinstance(value, int) or value > LONGEST
    return name == "items" and isinstance(value, bool)


def hoisted(branches: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The branches with the definitions that they refer to at the root, under names of their own;
    and these definitions, as a part of the whole schema."""
    shared: dict[str, Any] = {}
    moved = [_hoist(branch, f"{number}.", shared) for number, branch in enumerate(branches)]
    return moved, {"$defs": shared} if shared else {}


def _hoist(value: Any, prefix: str, shared: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_hoist(each, prefix, shared) for each in value]
    if not isinstance(value, dict):
        return value
    kept: dict[str, Any] = {}
    for name, each in value.items():
        if name in ("$defs", "definitions") and isinstance(each, dict):
            own = {f"{prefix}{key}": _hoist(inner, prefix, shared) for key, inner in each.items()}
            shared.update(own)
        elif name == "$ref" and isinstance(each, str):
            kept[name] = f"#/$defs/{prefix}{each.rsplit('/', 1)[-1]}"
        else:
            kept[name] = _hoist(each, prefix, shared)
    return kept
