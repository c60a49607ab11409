"""Nulls for optional properties are as good as absent ones.

Strict structured outputs know no optional properties: the gateway asks for them as nullable ones
(docs/models.md), and the model answers `null` where it would leave one out. The schema of the team
file does not allow that, so such nulls are dropped before the answer is checked and handed on.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from durable_agent_team.rules import model_json

MAX_DEPTH = 64
MAX_REFERENCES = 8


def without_optional_nulls(answer: str, schema: Mapping[str, Any]) -> str:
    """The answer without them; unchanged where there are none, or where it is not JSON."""
    if "null" not in answer:
        return answer
    try:
        value = model_json.parse(answer, unique_keys=True)
    except ValueError:
        return answer
    kept = _without(value, [schema], schema, 0)
    return answer if kept == value else json.dumps(kept, ensure_ascii=False)


def _without(value: Any, schemas: list[Any], root: Mapping[str, Any], depth: int) -> Any:
    """`schemas` are the alternatives that the value may conform to."""
    if depth > MAX_DEPTH or not isinstance(value, dict | list):
        return value
    shapes = [shape for each in schemas for shape in _shapes(each, root)]
    if isinstance(value, list):
        items = [each["items"] for each in shapes if isinstance(each.get("items"), Mapping)]
        return [_without(each, items, root, depth + 1) for each in value]
    kept = {}
    for name, each in value.items():
        inner = [
            (shape["properties"][name], name in shape.get("required", ()))
            for shape in shapes
            if isinstance(shape.get("properties"), Mapping) and name in shape["properties"]
        ]
        wanted = any(required or _allows_null(one, root) for one, required in inner)
        if each is None and inner and not wanted:
            continue
        kept[name] = _without(each, [one for one, _ in inner], root, depth + 1)
    return kept


def _shapes(schema: Any, root: Mapping[str, Any], references: int = 0) -> Iterator[dict[str, Any]]:
    """The schema and its alternatives, references followed."""
    if not isinstance(schema, dict) or references > MAX_REFERENCES:
        return
    yield schema
    for name in ("anyOf", "oneOf", "allOf"):
        for each in schema[name] if isinstance(schema.get(name), list) else ():
            yield from _shapes(each, root, references + 1)
    target = _target(schema.get("$ref"), root)
    if target is not None:
        yield from _shapes(target, root, references + 1)


def _target(reference: Any, root: Mapping[str, Any]) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: Any = root
    for part in reference.removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _allows_null(schema: Any, root: Mapping[str, Any]) -> bool:
    """Errs on the side of a null that stays."""
    shapes = list(_shapes(schema, root))
    if not shapes:
        return True  # `true`
    for shape in shapes:
        kind = shape.get("type")
        kinds = kind if isinstance(kind, list) else [kind]
        if "null" in kinds or None in shape.get("enum", ()) or shape.get("const", 0) is None:
            return True
    constrained = {"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"}
    return not any(constrained & shape.keys() for shape in shapes)
