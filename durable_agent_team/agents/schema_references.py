"""A JSON Schema without its `$defs`: it becomes a part of another one, where they would be lost.

Standard library only, Python 3.10 or newer.
"""

from typing import Any

PREFIX = "#/$defs/"
MAX_NODES = 20_000
"""For the result: definitions that use each other could grow without end."""


class SchemaTooLarge(Exception):
    """The schema contains itself, or is too large without its definitions."""


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema, each reference replaced by what it names. Raises `SchemaTooLarge`."""
    definitions = schema.get("$defs", {})
    left = [MAX_NODES]

    def copied(value: Any, inside: tuple[str, ...]) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise SchemaTooLarge(f"it has more than {MAX_NODES:,} parts: make it smaller")
        if isinstance(value, list):
            return [copied(each, inside) for each in value]
        if not isinstance(value, dict):
            return value
        name = str(value.get("$ref", "")).removeprefix(PREFIX)
        if name in definitions:
            if name in inside:
                raise SchemaTooLarge(f"{name} contains itself: models of pydantic cannot, here")
            beside = {key: each for key, each in value.items() if key != "$ref"}
            return {**copied(definitions[name], (*inside, name)), **copied(beside, inside)}
        return {key: copied(each, inside) for key, each in value.items() if key != "$defs"}

    found: dict[str, Any] = copied(schema, ())
    return found
