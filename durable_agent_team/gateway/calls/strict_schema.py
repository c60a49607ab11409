"""Rewrites a JSON Schema into the subset that strict structured outputs accept. Pure.

The rules are those of OpenAI's guide (developers.openai.com/api/docs/guides/structured-outputs,
"Supported schemas"): the root is an object; every object lists all of its properties as required
and allows no others; an optional property becomes one that may be null; keywords outside the subset
are an error; at most 5,000 properties and 10 levels.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_PROPERTIES = 5_000
MAX_LEVELS = 10
MAX_ENUM_VALUES = 1_000
MAX_NAME_CHARACTERS = 120_000
KEPT = frozenset(
    {
        "type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf",
        "$ref", "$defs", "definitions", "description", "title", "pattern", "format", "multipleOf",
        "maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "minItems", "maxItems",
    }
)  # fmt: skip
FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)
HARMLESS = frozenset({"$schema", "$id", "$comment", "examples", "default", "deprecated"})
"""They constrain nothing, so nothing is lost without them."""


@dataclass(frozen=True, slots=True)
class StrictSchema:
    """`loses`: whether the original demands more, so that the model must be told of it."""

    schema: dict[str, Any]
    loses: bool


class _Inexpressible(Exception):
    """Strict mode has no form for the schema."""


def strict_schema(schema: Mapping[str, Any]) -> StrictSchema | None:
    """None where strict mode has no form for the schema, such as an object with free names."""
    if schema.get("type") != "object" or "anyOf" in schema or "$ref" in schema:
        return None
    writer = _Writer()
    try:
        written = writer.rewrite(schema, 1)
    except (_Inexpressible, RecursionError):
        return None
    return StrictSchema(written, writer.loses)


class _Writer:
    def __init__(self) -> None:
        self.loses = False
        self._properties = 0
        self._values = 0
        self._characters = 0

    def rewrite(self, schema: Any, level: int) -> dict[str, Any]:
        if not isinstance(schema, Mapping) or not schema:
            raise _Inexpressible  # `true`, `{}`: anything at all
        found = {name: each for name, each in schema.items() if name in KEPT}
        if "oneOf" in schema and "anyOf" not in schema:
            found["anyOf"] = schema["oneOf"]
            self.loses = True
        self.loses = self.loses or bool(schema.keys() - KEPT - HARMLESS)
        if found.get("format") not in (None, *FORMATS):
            del found["format"]
            self.loses = True
        for name in ("$defs", "definitions"):
            if isinstance(found.get(name), Mapping):
                found[name] = {key: self.rewrite(each, 1) for key, each in found[name].items()}
        if "enum" in found:
            self._count_enum(found["enum"])
        if "anyOf" in found:
            found["anyOf"] = [self.rewrite(each, level) for each in _listed(found["anyOf"])]
        kinds = _types(found)
        if "array" in kinds or "items" in found or "prefixItems" in schema:
            found["items"] = self._items(schema, level)
        if "object" in kinds or "properties" in found:
            self._rewrite_object(found, level)
        if not kinds and not found.keys() & {"enum", "const", "anyOf", "$ref"}:
            raise _Inexpressible
        return found

    def _rewrite_object(self, found: dict[str, Any], level: int) -> None:
        properties = found.get("properties")
        if not isinstance(properties, Mapping) or found.get("additionalProperties", False) not in (
            False,
            True,
        ):
            raise _Inexpressible
        if level > MAX_LEVELS:
            raise _Inexpressible
        self._properties += len(properties)
        self._characters += sum(len(name) for name in properties)
        if self._properties > MAX_PROPERTIES or self._characters > MAX_NAME_CHARACTERS:
            raise _Inexpressible
        required = {each for each in _listed(found.get("required", [])) if isinstance(each, str)}
        found["properties"] = {
            name: each if name in required else nullable(each)
            for name, each in (
                (name, self.rewrite(each, level + 1)) for name, each in properties.items()
            )
        }
        found["required"] = list(properties)
        found["additionalProperties"] = False

    def _items(self, schema: Mapping[str, Any], level: int) -> dict[str, Any]:
        """The places of a tuple become one schema for all items."""
        places = schema.get("prefixItems")
        if not isinstance(places, list) or not places:
            return self.rewrite(schema.get("items"), level + 1)
        self.loses = True
        shapes = [self.rewrite(each, level + 1) for each in places]
        if isinstance(schema.get("items"), Mapping) and schema["items"]:
            shapes.append(self.rewrite(schema["items"], level + 1))
        different = {json.dumps(each, sort_keys=True): each for each in shapes}
        return shapes[0] if len(different) == 1 else {"anyOf": list(different.values())}

    def _count_enum(self, values: Any) -> None:
        self._values += len(_listed(values))
        self._characters += sum(len(each) for each in values if isinstance(each, str))
        if self._values > MAX_ENUM_VALUES or self._characters > MAX_NAME_CHARACTERS:
            raise _Inexpressible


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _Inexpressible
    return value


def _types(schema: Mapping[str, Any]) -> list[Any]:
    kind = schema.get("type")
    return kind if isinstance(kind, list) else [kind] if kind is not None else []


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that also accepts null."""
    kinds = _types(schema)
    if "const" in schema or "$ref" in schema or not kinds:
        if any(each == {"type": "null"} for each in schema.get("anyOf", ())):
            return schema
        if set(schema) == {"anyOf"}:
            return {"anyOf": [*schema["anyOf"], {"type": "null"}]}
        return {"anyOf": [schema, {"type": "null"}]}
    found = {**schema, "type": kinds if "null" in kinds else [*kinds, "null"]}
    if "enum" in found and None not in found["enum"]:
        found["enum"] = [*found["enum"], None]
    return found
