"""A tool's schema as a grammar can follow it. What it leaves out is checked afterwards.

What llama.cpp refuses (`items: false`, a `pattern` that is not anchored), follows wrongly (`\\d`,
`\\w` in patterns; a large `maxLength`), or ignores was tried with the bundled model.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

LONGEST = 500
"""The highest `maxLength` and `maxItems`: larger ones make a grammar too large."""
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
    and these definitions, as a part of the whole schema. A reference to anything else, such as the
    whole schema itself, is left out."""
    shared: dict[str, Any] = {}
    moved = []
    for number, branch in enumerate(branches):
        known: dict[str, Any] = {}
        _collect(branch, known)
        hoist = _Hoist(f"{number}.", frozenset(known))
        shared.update({f"{number}.{name}": hoist.schema(each) for name, each in known.items()})
        moved.append(hoist.schema(branch))
    return moved, {"$defs": shared} if shared else {}


NAMED = frozenset({"properties", "patternProperties", "dependentSchemas"})
"""Keywords whose keys are names: `definitions` may be one of them."""
DEFINITIONS = frozenset({"$defs", "definitions"})
VALUES = frozenset({"enum", "const"})


def _collect(value: Any, found: dict[str, Any]) -> None:
    """All definitions within a schema, by name."""
    if isinstance(value, list):
        for each in value:
            _collect(each, found)
    if not isinstance(value, dict):
        return
    for keyword, each in value.items():
        if keyword in DEFINITIONS and isinstance(each, dict):
            found.update(each)
        if keyword in NAMED | DEFINITIONS and isinstance(each, dict):
            for inner in each.values():
                _collect(inner, found)
        elif keyword not in VALUES:
            _collect(each, found)


class _Hoist:
    """Makes the schemas of one branch refer to the definitions at the root."""

    def __init__(self, prefix: str, known: frozenset[str]) -> None:
        self._prefix, self._known = prefix, known

    def schema(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.schema(each) for each in value]
        if not isinstance(value, dict):
            return value
        kept: dict[str, Any] = {}
        for keyword, each in value.items():
            if keyword == "$ref":
                kept.update(self._reference(each))
            elif keyword in NAMED and isinstance(each, dict):
                kept[keyword] = {name: self.schema(inner) for name, inner in each.items()}
            elif keyword not in DEFINITIONS:
                kept[keyword] = each if keyword in VALUES else self.schema(each)
        return kept

    def _reference(self, target: Any) -> dict[str, str]:
        if not isinstance(target, str) or "/" not in target:
            return {}
        name = target.rpartition("/")[2]
        # A name in a JSON Pointer, in a URI.
        plain = unquote(name).replace("~1", "/").replace("~0", "~")
        return {"$ref": f"#/$defs/{self._prefix}{name}"} if plain in self._known else {}
