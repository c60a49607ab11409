"""Types of a tool's arguments: the JSON Schema of each, and the Python value of what a model wrote.

Known are str, int, float, bool, None, Any, list, tuple, set, dict, Optional, unions, Literal, Enum,
dates, Decimal, UUID, Path, NewType, Annotated, dataclasses, TypedDict, and the models of pydantic,
where the function uses it. Standard library only, Python 3.10 or newer.
"""

import collections.abc
import dataclasses
import enum
import json
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any, Literal, Union

from durable_agent_team.agents.argument_limits import (
    ArgumentError,
    description_of,
    limits_of,
    with_limits,
)
from durable_agent_team.agents.scalar_types import (
    SCALARS,
    TEXTS,
    Kind,
    NoSchema,
    Schema,
    enumeration,
    expect,
    from_text,
    literal,
    name_of,
)
from durable_agent_team.agents.schema_references import inlined

MAX_DEPTH = 20
"""How deep types may be nested."""
_LISTS: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: list,
    collections.abc.Iterable: list,
    collections.abc.Collection: list,
    collections.abc.MutableSequence: list,
    collections.abc.Set: set,
}
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


class Kinds:
    """The kinds of the types of one function. A type that contains itself is a `$ref`."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._open: list[Any] = []
        self._named: dict[Any, tuple[str, list[Kind]]] = {}

    def of(self, annotation: Any) -> Kind:
        """Raises `NoSchema`."""
        if len(self._open) > MAX_DEPTH:
            raise NoSchema(f"types are nested more than {MAX_DEPTH} levels")
        while True:
            if isinstance(annotation, typing.NewType):
                annotation = annotation.__supertype__
            elif hasattr(annotation, "__value__"):  # `type X = ...` of Python 3.12
                annotation = annotation.__value__
            else:
                break
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Annotated:
            return self._annotated(arguments[0], annotation.__metadata__)
        if origin in (Union, types.UnionType):
            return self._union(arguments)
        if origin is Literal:
            return literal(arguments)
        if origin is not None and _is_wrapper(origin):
            return self.of(arguments[0])
        return self._plain(annotation, annotation if origin is None else origin, arguments)

    def _plain(self, annotation: Any, base: Any, arguments: tuple[Any, ...]) -> Kind:
        if annotation is Any or annotation is object:
            return Kind({}, lambda value, _: value)
        if annotation in SCALARS:
            return SCALARS[annotation]
        if base in _LISTS:
            return self._list(base, arguments)
        if base is tuple:
            return self._tuple(arguments)
        if base in _MAPPINGS:
            return self._mapping(arguments)
        if not isinstance(annotation, type):
            raise _unknown(annotation)
        if issubclass(annotation, enum.Enum):
            return enumeration(annotation)
        if annotation in TEXTS:
            return from_text(annotation)
        if hasattr(annotation, "model_json_schema") and hasattr(annotation, "model_validate_json"):
            return _pydantic(annotation)
        if typing.is_typeddict(annotation) or dataclasses.is_dataclass(annotation):
            return self._record(annotation)
        raise _unknown(annotation)

    def _annotated(self, annotation: Any, metadata: Sequence[Any]) -> Kind:
        kind = self.of(annotation)
        for each in metadata:
            if description := description_of(each):
                kind = Kind({**kind.schema, "description": description}, kind.convert)
        limits = limits_of(metadata)
        if not limits:
            return kind
        schema, check = with_limits(kind.schema, limits)
        inner = kind.convert

        def convert(value: Any, where: str) -> Any:
            check(value, where)
            return inner(value, where)

        return Kind(schema, convert)

    def _union(self, arguments: Sequence[Any]) -> Kind:
        kinds = [self.of(each) for each in arguments]
        if len(kinds) == 1:
            return kinds[0]

        def convert(value: Any, where: str) -> Any:
            problems = []
            for kind in kinds:
                try:
                    return kind.convert(value, where)
                except ArgumentError as error:
                    problems.append(str(error))
            raise ArgumentError("; or ".join(dict.fromkeys(problems)))

        return Kind({"anyOf": [kind.schema for kind in kinds]}, convert)

    def _list(self, base: Any, arguments: tuple[Any, ...]) -> Kind:
        item = self.of(arguments[0]) if arguments else Kind({}, lambda value, _: value)
        make = _LISTS[base]
        schema: Schema = {"type": "array", "items": item.schema}
        if make in (set, frozenset):
            schema["uniqueItems"] = True

        def convert(value: Any, where: str) -> Any:
            values = expect(value, list, where, "a list")
            converted = [item.convert(each, f"{where}[{i}]") for i, each in enumerate(values)]
            try:
                return make(converted)
            except TypeError:
                raise ArgumentError(f"{where}: its items cannot be items of a set") from None

        return Kind(schema, convert)

    def _tuple(self, arguments: tuple[Any, ...]) -> Kind:
        if not arguments or (len(arguments) == 2 and arguments[1] is ...):
            inner = self._list(list, arguments[:1])
            return Kind(inner.schema, lambda value, where: tuple(inner.convert(value, where)))
        items = [self.of(each) for each in arguments if each != ()]
        size = len(items)
        schema: Schema = {"type": "array", "minItems": size, "maxItems": size}
        if items:
            schema["prefixItems"] = [each.schema for each in items]

        def convert(value: Any, where: str) -> Any:
            values = expect(value, list, where, f"a list of {size} items")
            if len(values) != size:
                raise ArgumentError(f"{where}: a list of {size} items is expected")
            pairs = enumerate(zip(items, values))  # noqa: B905 - of one length
            return tuple(kind.convert(each, f"{where}[{i}]") for i, (kind, each) in pairs)

        return Kind(schema, convert)

    def _mapping(self, arguments: tuple[Any, ...]) -> Kind:
        if not arguments:
            return Kind(
                {"type": "object"}, lambda value, where: expect(value, dict, where, "an object")
            )
        key, item = self.of(arguments[0]), self.of(arguments[1])
        if key.schema.get("type") != "string":
            raise NoSchema(
                f"the keys of a JSON object are texts: dict[str, ...], not {name_of(arguments[0])}"
            )
        schema = {"type": "object", "additionalProperties": item.schema}
        if key.schema != {"type": "string"}:
            schema["propertyNames"] = key.schema

        def convert(value: Any, where: str) -> Any:
            values = expect(value, dict, where, "an object")
            return {
                key.convert(name, where): item.convert(each, f"{where}.{name}")
                for name, each in values.items()
            }

        return Kind(schema, convert)

    def _record(self, kind: Any) -> Kind:
        """A dataclass or a TypedDict: an object with exactly these properties."""
        if kind in self._open:
            name, found = self._named.setdefault(kind, (self._free_name(kind), []))
            return Kind(
                {"$ref": f"#/$defs/{name}"}, lambda value, where: found[0].convert(value, where)
            )
        self._open.append(kind)
        try:
            made = self._new_record(kind)
        finally:
            self._open.pop()
        if kind not in self._named:
            return made
        name, found = self._named[kind]
        found.append(made)
        self.definitions[name] = made.schema
        return Kind({"$ref": f"#/$defs/{name}"}, made.convert)

    def _new_record(self, kind: Any) -> Kind:
        hints = typing.get_type_hints(kind, include_extras=True)
        if dataclasses.is_dataclass(kind):
            fields = [each for each in dataclasses.fields(kind) if each.init]
            names = [each.name for each in fields]
            missing = dataclasses.MISSING
            required = [
                each.name
                for each in fields
                if each.default is missing and each.default_factory is missing
            ]
        else:
            names, required = (
                list(hints),
                [each for each in hints if each in kind.__required_keys__],
            )
        kinds = {name: self.of(hints[name]) for name in names}
        schema: Schema = {
            "type": "object",
            "properties": {name: each.schema for name, each in kinds.items()},
            "required": required,
            "additionalProperties": False,
        }

        def convert(value: Any, where: str) -> Any:
            values = expect(value, dict, where, "an object")
            check_names(values, kinds, required, where)
            given = {
                name: kinds[name].convert(each, f"{where}.{name}") for name, each in values.items()
            }
            try:
                return kind(**given)
            except (TypeError, ValueError) as error:  # a dataclass may check itself
                raise ArgumentError(f"{where}: {error}") from None

        return Kind(schema, convert)

    def _free_name(self, kind: Any) -> str:
        taken = {name for name, _ in self._named.values()}
        name: str = kind.__name__
        number = 2
        while name in taken:
            name, number = f"{kind.__name__}{number}", number + 1
        return name


def check_names(
    values: dict[str, Any],
    known: collections.abc.Collection[str],
    required: Sequence[str],
    where: str,
) -> None:
    """Raises `ArgumentError` for names that are missing or unknown."""
    missing = [name for name in required if name not in values]
    if missing:
        raise ArgumentError(f"{where}: {', '.join(missing)} is missing".lstrip(": "))
    unknown = [name for name in values if name not in known]
    if unknown:
        raise ArgumentError(
            f"{where}: {', '.join(unknown)[:200]} is not known; known are:"
            f" {', '.join(known) or 'none'}".lstrip(": ")
        )


def _pydantic(kind: Any) -> Kind:
    def convert(value: Any, where: str) -> Any:
        try:
            return kind.model_validate_json(json.dumps(value))
        except ValueError as error:
            raise ArgumentError(f"{where}: {' '.join(str(error).split())[:1_000]}") from None

    return Kind(inlined(kind.model_json_schema()), convert)


def _is_wrapper(origin: Any) -> bool:
    """Required, NotRequired and ReadOnly of a TypedDict."""
    return getattr(origin, "_name", None) in ("Required", "NotRequired", "ReadOnly")


def _unknown(annotation: Any) -> NoSchema:
    return NoSchema(
        f"{name_of(annotation)} is not a type of arguments: use str, int, float, bool, list, dict,"
        " Literal, an Enum, a dataclass, a TypedDict or a model of pydantic"
    )
