"""Answers and schemas that are built to be slow, from a seed."""

import json
import random
from collections.abc import Callable
from typing import Any

from durable_agent_team.contracts.call import CallRequest, Source
from durable_agent_team.contracts.team import Checks
from tests.activities.support import call

Made = tuple[CallRequest, str]
"""A call, and the answer to it."""

PATTERNS = [r"^([a-zA-Z]+\s?)+$", r"(x+x+)+y", r"^(a|a)*$", r"^(\w|\s)*\d!$", r"(.*,){12}P"]
SIMPLE: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}


def slow_input(seed: int) -> Made:
    """One kind after another, each with random sizes."""
    rng = random.Random(seed)
    return KINDS[seed % len(KINDS)](rng)


def _fence(rng: random.Random) -> Made:
    blanks = rng.choice([" ", "\n", "\t", " \n", "\n \t", "\u3000"])
    head = rng.choice(["```json", "```", "```JSON\n", "  ```\n{", '```json\n{"name": "oak",'])
    return call(output=SIMPLE), head + blanks * rng.randrange(190_000 // len(blanks))


def _too_long(rng: random.Random) -> Made:
    return call(output=SIMPLE), rng.choice(["[", "```\n", '"', "“a "]) * rng.randrange(2 * 10**5)


def _deep(rng: random.Random) -> Made:
    levels = rng.randrange(90_000)
    opened, closed = rng.choice([("[", "]"), ('{"a":', "}"), ('{"quote":[', "]}")])
    answer = opened * levels + "1" + closed * rng.choice([levels, 0])
    return call(output=SIMPLE, checks=Checks(quotes_exist_in="inputs")), answer[:199_999]


def _numbers(rng: random.Random) -> Made:
    number = rng.choice(
        ["9" * rng.randrange(1, 9_000), "1e999999", "-1e-99999", "0." + "1" * 9_000]
    )
    schema = {"type": "array", "items": {"type": "number", "multipleOf": 1e-9}}
    return call(output=schema), f"[{','.join([number] * rng.randrange(1, 20))}]"


def _passages(rng: random.Random) -> Made:
    marks = rng.choice(["“", "„", "«", '"', "„«", "“”", '"a b c" ', "“a b c” "])
    source = Source(name="a", text=rng.choice(["ab ", "“ä” "]) * rng.randrange(1, 60_000))
    answer = (marks * 200_000)[: rng.randrange(1, 199_000)]
    return call(sources=(source,), checks=Checks(quotes_exist_in="inputs")), answer


def _quotes(rng: random.Random) -> Made:
    words = [f"number {n} is here" for n in range(rng.randrange(1, 20_000))]
    source = Source(name="a", text=" and ".join(words))
    quotes = [{"source": "a", "quote": rng.choice(words)} for _ in range(rng.randrange(3_000))]
    answer = json.dumps({"findings": quotes})[:199_000]
    request = call(output="findings", sources=(source,), checks=Checks(quotes_exist_in="inputs"))
    return request, answer


def _wide(rng: random.Random) -> Made:
    item = rng.choice(["[]", "{}", "1", '"x"', '{"a":1}'])
    schema = {"type": "array", "items": {"type": "string", "enum": ["a", "b"], "minLength": 2}}
    return call(output=schema), "[" + ",".join([item] * rng.randrange(1, 9_000)) + "]"


def _large_schema(rng: random.Random) -> Made:
    names = [f"p{n}" for n in range(rng.randrange(1, 300))]
    schemas: list[dict[str, Any]] = [
        {"properties": {name: {"type": "string"} for name in names}},
        {"anyOf": [{"const": name} for name in names]},
        {"enum": names * 20},
        {"required": names},
    ]
    return call(output=rng.choice(schemas)), json.dumps(dict.fromkeys(names, "x"))


def _pattern(rng: random.Random) -> Made:
    pattern = rng.choice(PATTERNS)
    text = rng.choice(["x", "a", "ab cd ", "1,"]) * rng.randrange(1, 60) + "!"
    where = rng.choice(["pattern", "patternProperties"])
    if where == "pattern":
        return call(output={"pattern": pattern}), json.dumps(text)
    return call(output={"patternProperties": {pattern: {}}}), json.dumps({text: 1})


def _unique(rng: random.Random) -> Made:
    values: list[Any] = [
        rng.choice([n, str(n), [n], {"a": n}, None, True]) for n in range(rng.randrange(6_000))
    ]
    return call(output={"type": "array", "uniqueItems": True}), json.dumps(values)


def _references(rng: random.Random) -> Made:
    times = rng.randrange(1, 30)
    word = rng.choice(["allOf", "anyOf", "oneOf"])
    definitions: dict[str, Any] = {"a0": {"type": "string"}}
    for number in range(times):
        definitions[f"a{number + 1}"] = {word: [{"$ref": f"#/$defs/a{number}"}] * 2}
    return call(output={"$defs": definitions, "$ref": f"#/$defs/a{times}"}), rng.choice("1[")


CHEAP: list[Callable[[random.Random], Made]] = [
    _fence, _too_long, _deep, _numbers, _passages, _quotes, _wide, _large_schema,
]  # fmt: skip
KINDS = [*CHEAP, _pattern, *CHEAP, _unique, *CHEAP, _references]
