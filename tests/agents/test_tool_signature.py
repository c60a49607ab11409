"""A function's schema allows what the function gets, and nothing else: for generated signatures."""

import datetime
import enum
import json
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict

import annotated_types
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from durable_agent_team.agents.argument_limits import ArgumentError
from durable_agent_team.agents.tool_result import result_text
from durable_agent_team.agents.tool_signature import NoTool, ToolSignature
from tests.support.fuzzing import examples


class Size(enum.Enum):
    SMALL = "s"
    LARGE = 2


@dataclass(frozen=True)
class Kind:
    """A type, and pairs of a JSON value with the Python value that it stands for."""

    annotation: Any
    pairs: st.SearchStrategy[tuple[Any, Any]]


def same(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    return values.map(lambda value: (value, value))


def spelt(values: st.SearchStrategy[Any], spell: Callable[[Any], Any]) -> Any:
    return values.map(lambda value: (spell(value), value))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEAVES = [
    Kind(str, same(TEXTS)),
    Kind(int, same(st.integers(-(2**53), 2**53))),
    Kind(float, same(st.floats(allow_nan=False, allow_infinity=False))),
    Kind(bool, same(st.booleans())),
    Kind(None, same(st.none())),
    Kind(Any, same(TEXTS | st.integers())),
    Kind(Literal["a", 1, None], same(st.sampled_from(["a", 1, None]))),
    Kind(Size, spelt(st.sampled_from(Size), lambda size: size.value)),
    Kind(datetime.date, spelt(st.dates(), datetime.date.isoformat)),
    Kind(uuid.UUID, spelt(st.uuids(), str)),
    Kind(
        Decimal,
        st.integers(-(10**9), 10**9).map(lambda cents: (cents / 100, Decimal(cents) / 100)),
    ),
]


def listed(inner: Kind) -> Kind:
    pairs = st.lists(inner.pairs, max_size=3).map(
        lambda found: ([json_value for json_value, _ in found], [value for _, value in found])
    )
    return Kind(list[inner.annotation], pairs)  # type: ignore[name-defined]


def mapped(inner: Kind) -> Kind:
    pairs = st.dictionaries(TEXTS, inner.pairs, max_size=3).map(
        lambda found: (
            {name: pair[0] for name, pair in found.items()},
            {name: pair[1] for name, pair in found.items()},
        )
    )
    return Kind(dict[str, inner.annotation], pairs)  # type: ignore[name-defined]


def optional(inner: Kind) -> Kind:
    return Kind(Optional[inner.annotation], inner.pairs | same(st.none()))  # noqa: UP045


def paired(first: Kind, second: Kind) -> Kind:
    pairs = st.tuples(first.pairs, second.pairs).map(
        lambda found: ([each[0] for each in found], tuple(each[1] for each in found))
    )
    return Kind(tuple[first.annotation, second.annotation], pairs)  # type: ignore[name-defined]


def recorded(first: Kind, second: Kind) -> Kind:
    """A dataclass with a required and an optional field."""
    made: Any = make_dataclass(
        "Made",
        [("first", first.annotation), ("second", second.annotation, field(default=None))],
    )
    both = st.tuples(first.pairs, second.pairs).map(
        lambda found: (
            {"first": found[0][0], "second": found[1][0]},
            made(found[0][1], found[1][1]),
        )
    )
    one = first.pairs.map(lambda pair: ({"first": pair[0]}, made(pair[1])))
    return Kind(made, both | one)


def typed(inner: Kind) -> Kind:
    made: Any = TypedDict("made", {"first": inner.annotation, "rest": NotRequired[str]})  # type: ignore[name-defined]
    return Kind(made, inner.pairs.map(lambda pair: ({"first": pair[0]}, {"first": pair[1]})))


KINDS = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        inner.map(listed),
        inner.map(mapped),
        inner.map(optional),
        inner.map(typed),
        st.builds(paired, inner, inner),
        st.builds(recorded, inner, inner),
    ),
    max_leaves=5,
)


@pytest.mark.fuzz
@settings(max_examples=examples(80, most=1_000))
@given(st.lists(KINDS, min_size=1, max_size=3), st.data())
def test_every_signature_round_trips(kinds: list[Kind], data: st.DataObject) -> None:
    """What the schema allows is converted to the value that it stands for, through JSON."""
    function = function_of({f"a{number}": kind.annotation for number, kind in enumerate(kinds)})
    signature = ToolSignature(function)
    schema = json.loads(json.dumps(signature.schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    pairs = [data.draw(kind.pairs) for kind in kinds]
    written = json.loads(json.dumps({f"a{n}": pair[0] for n, pair in enumerate(pairs)}))
    jsonschema.Draft202012Validator(schema).validate(written)
    positional, named = signature.bound(written, "")
    assert positional == []
    assert list(named.values()) == [pair[1] for pair in pairs]
    json.loads(result_text(list(named.values())))


def function_of(annotations: dict[str, Any]) -> Callable[..., Any]:
    """A function with these arguments, all required."""
    scope: dict[str, Any] = {}
    exec(f"def made({', '.join(annotations)}): ...", scope)
    made: Callable[..., Any] = scope["made"]
    made.__annotations__ = dict(annotations)
    return made


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.fuzz
@settings(max_examples=examples(80, most=1_000))
@given(KINDS, JSON)
def test_any_json_value_is_a_value_or_a_mistake_that_names_its_place(
    kind: Kind, value: Any
) -> None:
    signature = ToolSignature(function_of({"a": kind.annotation}))
    schema = jsonschema.Draft202012Validator(signature.schema())
    if is_taken(signature, value) and (not isinstance(value, float) or math.isfinite(value)):
        assert schema.is_valid({"a": value}), "what is converted was allowed"


def is_taken(signature: ToolSignature, value: Any) -> bool:
    try:
        signature.bound({"a": value}, "")
    except ArgumentError as mistake:
        return not str(mistake).startswith("a")
    return True


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        (int, 1.5, "a whole number is expected, got 1.5"),
        (int, "1", 'a whole number is expected, got "1"'),
        (int, True, "a whole number is expected, got true"),
        (float, "1", "a number is expected"),
        (float, True, "a number is expected"),
        (str, 1, "a text is expected"),
        (bool, 0, "true or false is expected"),
        (None, "", "null is expected"),
        (list[int], [1, "x"], 'a[1]: a whole number is expected, got "x"'),
        (dict[str, int], {"n": None}, "a.n: a whole number is expected, got null"),
        (tuple[int, str], [1], "a list of 2 items is expected"),
        (Literal["x", 1], True, 'one of "x", 1 is expected, got true'),
        (Size, "SMALL", 'one of "s", 2 is expected, got "SMALL"'),
        (datetime.date, "tomorrow", '"tomorrow" is no date'),
        (int | None, "x", "a whole number is expected"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(
    annotation: Any, value: Any, said: str
) -> None:
    with pytest.raises(ArgumentError) as mistake:
        ToolSignature(function_of({"a": annotation})).bound({"a": value}, "")
    assert said in str(mistake.value)


def google(order: str, usd: float = 1.5, note: str | None = None) -> None:
    """Pays money back.

    Only once.

    Args:
        order (str): The number,
            as printed.
        usd: How much: in dollars.

    Returns:
        Nothing.
    """


def numpy(order: str, usd: float = 1.5, note: str | None = None) -> None:
    """Pays money back.

    Only once.

    Parameters
    ----------
    order : str
        The number,
        as printed.
    usd : float, optional
        How much: in dollars.

    Returns
    -------
    None
        Nothing.
    """


def sphinx(order: str, usd: float = 1.5, note: str | None = None) -> None:
    """Pays money back.

    Only once.

    :param str order: The number,
        as printed.
    :param usd: How much: in dollars.
    :returns: Nothing.
    """


@pytest.mark.parametrize("function", [google, numpy, sphinx])
def test_docstrings_of_three_forms_describe_the_arguments(function: Callable[..., Any]) -> None:
    signature = ToolSignature(function)
    assert signature.description == "Pays money back.\n\nOnly once."
    assert signature.schema() == {
        "type": "object",
        "properties": {
            "order": {"type": "string", "description": "The number, as printed."},
            "usd": {"type": "number", "description": "How much: in dollars.", "default": 1.5},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["order"],
        "additionalProperties": False,
    }


def test_a_docstring_that_only_looks_like_one_is_a_description() -> None:
    def look(at: str) -> None:
        """Looks at things: one, two.

        Note that parameters are not listed here.
        """

    assert ToolSignature(look).description.endswith("are not listed here.")
    assert "description" not in ToolSignature(look).schema()["properties"]["at"]


class Line(BaseModel):
    item: str
    count: int = Field(1, ge=1)


class Bill(BaseModel):
    lines: list[Line]
    due: datetime.date | None = None


@dataclass
class Node:
    name: str
    children: list["Node"] = field(default_factory=list)


def test_models_of_pydantic_are_inlined_and_validated() -> None:
    def pay(bill: Bill, limit: int = Field(5, le=9, description="At most.")) -> None: ...

    schema = ToolSignature(pay).schema()
    assert "$defs" not in json.dumps(schema)
    assert schema["properties"]["limit"] == {
        "type": "integer",
        "description": "At most.",
        "maximum": 9,
        "default": 5,
    }
    assert schema["required"] == ["bill"]
    given = {"bill": {"lines": [{"item": "tea"}], "due": "2026-01-02"}}
    _, named = ToolSignature(pay).bound(given, "")
    assert named["bill"] == Bill(lines=[Line(item="tea")], due=datetime.date(2026, 1, 2))
    with pytest.raises(ArgumentError, match=r"^bill: .*lines\.0\.count"):
        ToolSignature(pay).bound({"bill": {"lines": [{"item": "tea", "count": 0}]}}, "")


def test_a_type_that_contains_itself_is_a_reference() -> None:
    def walk(tree: Node) -> None: ...

    signature = ToolSignature(walk)
    schema = signature.schema()
    assert schema["properties"]["tree"] == {"$ref": "#/$defs/Node"}
    given = {"tree": {"name": "a", "children": [{"name": "b"}]}}
    jsonschema.Draft202012Validator(schema).validate(given)
    assert signature.bound(given, "")[1]["tree"] == Node("a", [Node("b")])
    with pytest.raises(ArgumentError, match=r"tree\.children\[0\]: name is missing"):
        signature.bound({"tree": {"name": "a", "children": [{}]}}, "")


def test_descriptions_and_limits_come_from_annotated() -> None:
    Percent = Annotated[int, Field(ge=0, le=100), "In percent."]

    def set_to(
        percent: Percent,
        name: Annotated[str, annotated_types.MinLen(2), Field(pattern="^[a-z]+$")],
        tags: Annotated[list[str], annotated_types.Len(1, 2)],
    ) -> None: ...

    signature = ToolSignature(set_to)
    assert signature.schema()["properties"] == {
        "percent": {
            "type": "integer",
            "description": "In percent.",
            "minimum": 0,
            "maximum": 100,
        },
        "name": {"type": "string", "minLength": 2, "pattern": "^[a-z]+$"},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
    }
    good = {"percent": 7, "name": "ab", "tags": ["x"]}
    assert signature.bound(good, "")[1] == good
    mistakes: list[dict[str, Any]] = [{"percent": 101}, {"name": "a"}, {"name": "A1"}, {"tags": []}]
    for wrong in mistakes:
        with pytest.raises(ArgumentError):
            signature.bound({**good, **wrong}, "")


def test_arguments_by_position_and_the_key_reach_the_function() -> None:
    def move(source: str, target: str = "b", /, *, key: str, force: bool = False) -> None: ...

    signature = ToolSignature(move, "key")
    assert list(signature.schema()["properties"]) == ["source", "target", "force"]
    assert signature.bound({"source": "a", "force": True}, "k:1.1") == (
        ["a"],
        {"force": True, "key": "k:1.1"},
    )


def starred(*orders: str) -> None: ...
def untyped(order): ...  # type: ignore[no-untyped-def]
def files(data: bytes) -> None: ...
def keys(by_number: dict[int, str]) -> None: ...
def called(back: Callable[[], None]) -> None: ...
def unknown(thing: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821
def guessed(order="x", count=3): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (starred, r"it takes any arguments \(\*orders\): name each one, with its type"),
        (untyped, "its argument 'order' has no type: write one, such as `order: str`"),
        (files, "its argument 'data': bytes is not a type of arguments: use str, int"),
        (keys, "its argument 'by_number': the keys of a JSON object are texts"),
        (called, r"its argument 'back': .* is not a type of arguments"),
        (unknown, "its signature cannot be read: NameError: name 'Missing' is not defined"),
    ],
)
def test_what_no_model_can_write_is_named(function: Callable[..., Any], said: str) -> None:
    with pytest.raises(NoTool, match=said):
        ToolSignature(function)


def test_a_default_has_a_type_where_nothing_is_written() -> None:
    assert ToolSignature(guessed).schema()["properties"] == {
        "order": {"type": "string", "default": "x"},
        "count": {"type": "integer", "default": 3},
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (None, "null"),
        ({"a": [1, Decimal("1.10")]}, '{"a": [1, "1.10"]}'),
        ([Size.SMALL, datetime.date(2026, 1, 2), Path("x/y")], '["s", "2026-01-02", "x/y"]'),
        (Node("a", [Node("b")]), '{"name": "a", "children": [{"name": "b", "children": []}]}'),
        (Line(item="tea"), '{"item": "tea", "count": 1}'),
        ({"é": {1}}, '{"é": [1]}'),
        ("half \ud800", "half ?"),
    ],
)
def test_a_result_is_a_text_or_json(value: Any, text: str) -> None:
    assert result_text(value) == text
