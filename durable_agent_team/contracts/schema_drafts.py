"""The draft that a JSON Schema is written in, and the schema with patterns that Python reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from durable_agent_team.contracts.ecma_patterns import PatternError, with_cost

DRAFTS = {
    "draft-03": "Draft3Validator",
    "draft-04": "Draft4Validator",
    "draft-06": "Draft6Validator",
    "draft-07": "Draft7Validator",
    "draft/2019-09": "Draft201909Validator",
    "draft/2020-12": "Draft202012Validator",
}
"""By what their `$schema` contains; the classes of jsonschema."""

MAX_COST = 1_500_000
"""Microseconds, about, that all patterns of a schema take to compile; each is counted once."""
TOO_MUCH = PatternError(
    "with the patterns before it, it has too many sets of characters, such as \\p{L} or \\W",
    "write ranges, such as [A-Za-z\\u00C0-\\u024F], or the same pattern in several places",
)

LATEST = "draft/2020-12"
KNOWN = "https://json-schema.org/draft/2020-12/schema, or that of a draft from draft-03 to 2019-09"

_MAPS = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
"""Keywords whose values have schemas under names."""
_DATA = frozenset({"enum", "const", "default", "examples", "example"})


class UnknownDraft(ValueError):
    """`$schema` names no draft that can be checked."""


class WrongPattern(ValueError):
    """A pattern of the schema, and where it is."""

    def __init__(self, path: str, pattern: str, cause: PatternError) -> None:
        super().__init__(f"{pattern!r} is not understood: {cause}")
        self.path = path
        self.remedy = cause.remedy


def validator_class(schema: Any) -> Any:
    """jsonschema's class for the schema's draft, by default the latest. Raises `UnknownDraft`."""
    import jsonschema  # noqa: PLC0415  (a tenth of a second, and most teams have no schema)

    named = schema.get("$schema") if isinstance(schema, Mapping) else None
    return getattr(jsonschema, DRAFTS[LATEST if named is None else _draft(named)])


def _draft(named: Any) -> str:
    if isinstance(named, str):
        place = named.strip().rstrip("#").rstrip("/").removesuffix("/schema")
        place = place.removeprefix("https://").removeprefix("http://").removeprefix("www.")
        name = place.removeprefix("json-schema.org").strip("/")
        if name in DRAFTS and place != name:
            return name
        if place == "json-schema.org":
            return LATEST
    raise UnknownDraft(f"{str(named)[:100]} is no draft that can be checked")


@dataclass
class Translated:
    """A schema for jsonschema, and what its patterns were."""

    schema: Any
    originals: dict[str, str] = field(default_factory=dict)
    costs: dict[str, int] = field(default_factory=dict)
    """What each pattern costs."""

    def as_written(self, message: str) -> str:
        """A message about an answer, with the patterns as they are in the team file."""
        for translated, original in self.originals.items():
            message = message.replace(repr(translated), repr(original))
        return message


def translated(schema: Any) -> Translated:
    """The schema with its patterns translated from ECMA 262. Raises `WrongPattern`.

    Nothing else is changed, and what is no schema is left for the check against the draft.
    """
    found = Translated(None)
    found.schema = _schema(schema, "$", found)
    return found


def _schema(schema: Any, path: str, found: Translated) -> Any:
    if isinstance(schema, list):
        return [_schema(each, f"{path}[{at}]", found) for at, each in enumerate(schema)]
    if not isinstance(schema, dict):
        return schema
    return dict(_keywords(schema, path, found))


def _keywords(schema: dict[Any, Any], path: str, found: Translated) -> Iterator[tuple[Any, Any]]:
    for name, value in schema.items():
        here = f"{path}.{name}"
        if name == "pattern" and isinstance(value, str):
            yield name, _pattern(value, here, found)
        elif name in _DATA:
            yield name, value
        elif name in _MAPS and isinstance(value, dict):
            is_patterns = name == "patternProperties"
            yield (
                name,
                {
                    _pattern(key, f"{here}.{key}", found)
                    if is_patterns and isinstance(key, str)
                    else key: _schema(inner, f"{here}.{key}", found)
                    for key, inner in value.items()
                },
            )
        else:
            yield name, _schema(value, here, found)


def _pattern(pattern: str, path: str, found: Translated) -> str:
    try:
        written, cost = with_cost(pattern)
        found.costs[pattern] = cost
        if sum(found.costs.values()) > MAX_COST:
            raise TOO_MUCH
    except PatternError as error:
        raise WrongPattern(path, pattern, error) from None
    if written != pattern:
        found.originals[written] = pattern
    return written
