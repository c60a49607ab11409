"""Parses YAML and keeps the line of each key and the keys that appear twice."""

import re
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

Path = tuple[str | int, ...]


@dataclass
class Document:
    """Plain values, the line of each path (from 1), and duplicate keys (path, line)."""

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    duplicates: list[tuple[Path, int]] = field(default_factory=list)

    def line(self, path: Path) -> int | None:
        """The line of a path, or of the closest path above it."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None


class _Resolver(Resolver):
    """Dates stay text: `2026-01-01` in an answer's schema is not a Python date.

    Numbers follow YAML 1.2 (https://yaml.org/spec/1.2.2/, 10.3.2): in YAML 1.1, which the library
    implements, `010` is 8 and `1:30` is 90. `010`, `0x10` and `1e3` stay text, unlike in 1.2, so
    that a code in an `enum`, and an amount, stay as written; where a key of ours needs a number,
    `010` is 10.
    """


_Resolver.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in pairs
        if tag.rpartition(":")[2] not in ("timestamp", "int", "float")
    ]
    for first, pairs in Resolver.yaml_implicit_resolvers.items()
}
for _tag, _pattern, _first in (
    ("int", r"[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("float", r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$", "-+."),
):
    _Resolver.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


class _Constructor(SafeConstructor):
    """What an explicit tag does not fit, such as `!!bool maybe`, is an error with its line."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:
            if str(error).startswith("Exceeds the limit"):
                raise
            kind = node.tag.rpartition(":")[2]
            problem = f"{str(node.value)[:100]!r} does not fit the tag `!!{kind}`"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None


class _Loader(_Constructor, _Resolver, yaml.SafeLoader):
    """Its errors show the line that they are about."""


class _FastLoader(_Constructor, Composer, yaml.CSafeLoader, _Resolver):
    """Scans in C, six times as fast; composes in Python, which bounds the depth."""

    def __init__(self, text: str) -> None:
        yaml.CSafeLoader.__init__(self, text)
        Composer.__init__(self)


HALVES = re.compile("[\ud800-\udbff][\udc00-\udfff]")
"""A character of JSON's escapes, such as `\\ud83d\\ude00`, which YAML's reader takes for two."""
MAX_NODES = 200_000
"""Nodes, aliases counted each time: a few lines of nested aliases could expand to billions."""
MAX_DEPTH = 100


class TooLarge(yaml.MarkedYAMLError):
    """Valid YAML with too many values, or nested too deeply."""


def read_yaml(text: str) -> Document:
    """Parses a text. Raises `yaml.YAMLError`, with its mark, for invalid YAML."""
    try:
        return _read(_FastLoader(text))
    except TooLarge:
        raise
    except yaml.YAMLError:
        with suppress(ValueError, OverflowError):  # an escape of no character: `\UFFFFFFFF`
            return _read(_Loader(text))
        raise


def _read(loader: "_FastLoader | _Loader") -> Document:
    document = Document()
    try:
        node = loader.get_single_node()
        if node is not None:
            _walk(node, (), document, [0])
            document.value = loader.construct_document(node)
    finally:
        loader.dispose()
    return document


def _join_halves(node: yaml.Node) -> None:
    if isinstance(node, yaml.ScalarNode) and HALVES.search(node.value):
        node.value = HALVES.sub(_joined, node.value)


def _joined(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16", "surrogatepass").decode("utf-16")


def _walk(node: yaml.Node, path: Path, document: Document, count: list[int]) -> None:
    count[0] += 1
    if count[0] > MAX_NODES:
        told = f"has more than {MAX_NODES:,} values, each alias counted with all that it stands for"
        raise TooLarge(problem=told, problem_mark=node.start_mark)
    if len(path) > MAX_DEPTH:
        told = f"is nested more than {MAX_DEPTH} levels deep, or refers to itself"
        raise TooLarge(problem=told, problem_mark=node.start_mark)
    document.lines.setdefault(path, node.start_mark.line + 1)
    _join_halves(node)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*path, index), document, count)
    elif isinstance(node, yaml.MappingNode):
        seen: set[Hashable] = set()
        for key, value in node.value:
            _join_halves(key)
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            inner = (*path, name)
            if name in seen and name != "<<":
                document.duplicates.append((inner, key.start_mark.line + 1))
            seen.add(name)
            document.lines.setdefault(inner, key.start_mark.line + 1)
            _walk(value, inner, document, count)
