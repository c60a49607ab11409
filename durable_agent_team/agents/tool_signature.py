"""A function as a tool: what a model has to know of it, and how it is called with what the model
wrote. Standard library only, Python 3.10 or newer.
"""

import inspect
import json
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from durable_agent_team.agents.argument_types import Kinds, check_names
from durable_agent_team.agents.docstrings import parsed
from durable_agent_team.agents.scalar_types import Kind, NoSchema, plain_value
from durable_agent_team.agents.schema_references import SchemaTooLarge

MAX_DESCRIPTION = 8_000
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_REQUIRED = inspect.Parameter.empty


class NoTool(Exception):
    """The function cannot be a tool. The text says why, and what to change."""


@dataclass(frozen=True)
class _Argument:
    name: str
    kind: Kind
    is_required: bool


class ToolSignature:
    """The arguments of one function. Raises `NoTool`."""

    def __init__(self, function: Callable[..., Any], key_argument: str | None = None) -> None:
        self._key_argument = key_argument
        self._kinds = Kinds()
        try:
            parameters = inspect.signature(function).parameters.values()
            hints = typing.get_type_hints(_of_hints(function), include_extras=True)
        except (TypeError, ValueError, NameError, AttributeError) as error:
            raise NoTool(f"its signature cannot be read: {type(error).__name__}: {error}") from None
        if key_argument is not None and key_argument not in {each.name for each in parameters}:
            raise NoTool(
                f"it has no argument {key_argument!r}, which `key_argument` names: add it, as a str"
            )
        self.summary, self._descriptions = parsed(inspect.getdoc(function))
        self._by_position = [
            each.name for each in parameters if each.kind is inspect.Parameter.POSITIONAL_ONLY
        ]
        self._arguments = [
            made
            for each in parameters
            if (made := self._argument(each, hints.get(each.name))) is not None
        ]

    @property
    def description(self) -> str:
        return self.summary[:MAX_DESCRIPTION]

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the arguments, without the key."""
        made: dict[str, Any] = {
            "type": "object",
            "properties": {each.name: each.kind.schema for each in self._arguments},
            "required": [each.name for each in self._arguments if each.is_required],
            "additionalProperties": False,
        }
        if self._kinds.definitions:
            made["$defs"] = self._kinds.definitions
        return made

    def bound(self, given: dict[str, Any], key: str) -> tuple[list[Any], dict[str, Any]]:
        """Positional and named arguments. Raises `ArgumentError`."""
        known = {each.name: each for each in self._arguments}
        required = [each.name for each in self._arguments if each.is_required]
        check_names(given, known, required, "")
        values = {name: known[name].kind.convert(each, name) for name, each in given.items()}
        if self._key_argument is not None:
            values[self._key_argument] = key
        positional = []
        for name in self._by_position:
            if name not in values:
                break
            positional.append(values.pop(name))
        return positional, values

    def _argument(self, parameter: inspect.Parameter, annotation: Any) -> _Argument | None:
        name = parameter.name
        if name == self._key_argument:
            return None
        if parameter.kind in _VARIADIC:
            raise NoTool(f"it takes any arguments (*{name}): name each one, with its type")
        default, metadata = _default(parameter)
        if annotation is None:  # there is no hint: the one of `x: None` is NoneType
            annotation = _type_of_default(default, name)
        if metadata is not None:
            annotation = Annotated[annotation, metadata]
        try:
            kind = self._kinds.of(annotation)
        except (NoSchema, SchemaTooLarge) as error:
            raise NoTool(f"its argument {name!r}: {error}") from None
        schema = dict(kind.schema)
        if (said := self._descriptions.get(name)) and "description" not in schema:
            schema["description"] = said
        if default is not _REQUIRED and default is not None and _is_json(plain_value(default)):
            schema["default"] = plain_value(default)
        return _Argument(name, Kind(schema, kind.convert), default is _REQUIRED)


def _of_hints(function: Callable[..., Any]) -> Any:
    """What has the annotations: of an object that can be called, its `__call__`."""
    function = inspect.unwrap(function)
    if inspect.isfunction(function) or inspect.ismethod(function):
        return function
    return function.__init__ if inspect.isclass(function) else type(function).__call__


def _default(parameter: inspect.Parameter) -> tuple[Any, Any]:
    """The default, and the `Field` of pydantic that is there instead of one."""
    default = parameter.default
    if type(default).__name__ != "FieldInfo":
        return default, None
    inner = getattr(default, "default", ...)
    is_required = inner is ... or type(inner).__name__ == "PydanticUndefinedType"
    return (_REQUIRED if is_required else inner), default


def _type_of_default(default: Any, name: str) -> Any:
    """The type of an argument without an annotation. Raises `NoTool`."""
    if type(default) in (str, int, float, bool):
        return type(default)
    raise NoTool(f"its argument {name!r} has no type: write one, such as `{name}: str`")


def _is_json(value: Any) -> bool:
    if not isinstance(value, (str, int, float, bool, list, dict)):
        return False
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError):
        return False
