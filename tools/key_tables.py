"""Tables of the keys of team files: types, bounds and defaults from the models, in Markdown."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from durable_agent_team.contracts.names import IDENTIFIER

Schema = Mapping[str, Any]
REFERENCES = {"NotifyOn": "events", "Task": "tasks"}
"""What a list of such models has."""
ITEMS = {"inputs": "file names", "tools": "tools", "hosts": "hosts", "command": "texts"}
"""What a list of texts has, by its key; otherwise `names`."""


def page(text: Path, contract: str, tables: Mapping[str, Iterator[str]]) -> str:
    """Returns a page: the text, with each `<!-- keys: SECTION -->` replaced by its table.
    `contract` is the file that the tables are made from. Raises ValueError if a section is not in
    the text."""
    note = (
        f"<!-- Made from durable_agent_team/contracts/{contract} and tools/{text.name} by"
        " `python tools/generate_docs.py`. Do not edit. -->"
    )
    head, _, rest = text.read_text(encoding="utf-8").partition("\n")
    made = f"{head}\n\n{note}\n{rest}"
    for section, table in tables.items():
        marker = f"<!-- keys: {section} -->"
        if marker not in made:
            raise ValueError(f"{text.name} has no {marker}")
        made = made.replace(marker, "\n".join(table))
    return made


def rows(
    properties: Mapping[str, Schema],
    required: Collection[str],
    meanings: Mapping[str, str],
    section: str,
) -> Iterator[str]:
    """Yields the rows, one for each key. Raises ValueError if keys and meanings differ."""
    if set(properties) != set(meanings):
        odd = ", ".join(sorted(set(properties) ^ set(meanings)))
        raise ValueError(f"the tables of keys and their models differ in {section}: {odd}")
    yield "| key | type and bounds | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for name, schema in properties.items():
        default = "required" if name in required else _default(schema)
        kind = _kind(name, schema).replace("|", "\\|")
        yield f"| `{name}` | {kind} | {default} | {meanings[name]} |"


def keys_of(
    model: type[BaseModel], left_out: Collection[str] = ()
) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """Returns a model's keys with their JSON Schemas, and the names of the required ones."""
    schema = model.model_json_schema()
    kinds = schema.get("$defs", {})
    properties = {
        name: _resolved(each, kinds)
        for name, each in schema["properties"].items()
        if name not in left_out
    }
    return properties, set(schema.get("required", ())) - set(left_out)


def _resolved(schema: Schema, kinds: Schema) -> dict[str, Any]:
    reference = schema.get("$ref")
    found = kinds[reference.rpartition("/")[2]] if reference else {}
    own = dict(schema)
    if "anyOf" in own:
        own["anyOf"] = [_resolved(each, kinds) for each in own["anyOf"]]
    return {**found, **own}


def _default(schema: Schema) -> str:
    value = schema.get("default")
    if value is None or value in ("", [], {}):
        return "–"
    if isinstance(value, dict):
        return "see below"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return f"`[{', '.join(value)}]`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _kind(name: str, schema: Schema) -> str:
    choices = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    if name.endswith("_usd"):
        choices = choices[:1]
    return ", or ".join(_one(each, name) for each in choices)


def _one(schema: Schema, name: str) -> str:
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"`{value}`" for value in values)
    if schema.get("pattern") == IDENTIFIER:
        return "name"
    kind = schema.get("type")
    if kind == "string":
        return f"text{_range(schema, 'minLength', 'maxLength', ' characters')}"
    if kind in ("integer", "number"):
        word = "USD" if name.endswith("_usd") else "whole number" if kind == "integer" else "number"
        return word + _range(schema, "minimum", "maximum")
    if kind == "array":
        return f"list of {_items(schema, name)}{_range(schema, 'minItems', 'maxItems')}"
    if kind == "boolean":
        return "`true`, `false`"
    return f"mapping{_range(schema, 'minProperties', 'maxProperties')}"


def _items(schema: Schema, name: str) -> str:
    reference = schema["items"].get("$ref", "").rpartition("/")[2]
    return REFERENCES.get(reference, ITEMS.get(name, "names"))


def _range(schema: Schema, low: str, high: str, unit: str = "") -> str:
    least, most = schema.get(low), schema.get(high)
    if "exclusiveMinimum" in schema:
        return f", above {_number(schema['exclusiveMinimum'])}, to {_number(most)}"
    if most is None:
        return ""
    start = f"{_number(least)} to " if least is not None else "up to "
    return f", {start}{_number(most)}{unit}"


def _number(value: Any) -> str:
    return f"{value:,.10g}" if isinstance(value, int | float) else str(value)
