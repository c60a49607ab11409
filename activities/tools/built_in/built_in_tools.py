"""The built-in tools: what they are for a model, and a call of one."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from activities.tools.built_in.arithmetic import FUNCTIONS, MAX_EXPRESSION, calculate
from activities.tools.built_in.document_search import MAX_HITS, MAX_QUERY, read, search
from activities.tools.built_in.exceptions import PageUnreachable, ToolMistake
from activities.tools.built_in.page_fetch import PageFetcher
from activities.tools.called_tool import CalledTool
from activities.tools.exceptions import ToolTimedOut, ToolUnreachable
from durable_agent_team.blobs.texts import Texts
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.contracts.tool_box import ToolDefinition
from durable_agent_team.contracts.tool_kinds import BuiltInTool

DEFAULT_HITS: Final = 5
HEADING_BYTES: Final = 200
"""The size of the heading above a part of a document or page."""


class BuiltInTools:
    """Implements `tool_kinds.BuiltIns`. `texts` has the documents of which there are references."""

    def __init__(self, texts: Texts, fetcher: PageFetcher | None = None) -> None:
        self._texts = texts
        self._fetcher = fetcher or PageFetcher()

    def definition(self, tool: BuiltInTool, documents: Sequence[str]) -> ToolDefinition:
        """What the model sees. `documents` are the names of those that it may read."""
        return _DEFINITIONS[tool.built_in](tool, documents)

    async def call(
        self,
        tool: BuiltInTool,
        arguments: dict[str, Any],
        documents: Mapping[str, Text],
        timeout_seconds: float,
    ) -> CalledTool:
        """The result; a mistake of the model is one, too. Raises `ToolUnreachable`, `ToolTimedOut`,
        and `BlobError` where a document cannot be read."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._called(tool, arguments, documents, timeout_seconds)
        except ToolMistake as error:
            return CalledTool(f"{tool.built_in}: {error}", is_error=True)
        except PageUnreachable as error:
            raise ToolUnreachable(f"fetch: {error}", final=False) from None
        except TimeoutError:
            raise ToolTimedOut(
                f"{tool.built_in}: no result within {timeout_seconds:g} s", sent=True
            ) from None

    async def _called(
        self,
        tool: BuiltInTool,
        arguments: dict[str, Any],
        documents: Mapping[str, Text],
        seconds: float,
    ) -> CalledTool:
        given = _Arguments(arguments)
        match tool.built_in:
            case "calculate":
                return CalledTool(calculate(given.text("expression")))
            case "read_document":
                return CalledTool(await self._read(tool, given, documents))
            case "search_documents":
                return CalledTool(await self._search(given, documents))
            case "fetch":
                return await self._fetch(tool, given, seconds)

    async def _read(
        self, tool: BuiltInTool, given: "_Arguments", documents: Mapping[str, Text]
    ) -> str:
        name = given.text("name")
        text = await self._texts.read(_document(name, documents))
        start, length = given.number("start", 0), given.number("length", len(text))
        return read(name, text, start, length, tool.max_result_bytes - HEADING_BYTES)

    async def _search(self, given: "_Arguments", documents: Mapping[str, Text]) -> str:
        query, hits = given.text("query"), given.number("max_hits", DEFAULT_HITS)
        wanted = documents
        if name := given.text("name", ""):
            wanted = {name: _document(name, documents)}
        texts = await self._texts.read_all(wanted.values())
        found = dict(zip(wanted, texts, strict=True))
        return await asyncio.to_thread(search, query, found, hits)

    async def _fetch(self, tool: BuiltInTool, given: "_Arguments", seconds: float) -> CalledTool:
        page = await self._fetcher.get(given.text("url"), tool.hosts, seconds)
        start = given.number("start", 0)
        text = read("the page", page.text, start, None, tool.max_result_bytes - HEADING_BYTES)
        if 200 <= page.status < 300:
            return CalledTool(text)
        return CalledTool(f"HTTP {page.status} from {page.url}\n{text}", is_error=True)


class _Arguments:
    """The arguments of a call. They were checked against the schema, but not everywhere."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def text(self, name: str, default: str | None = None) -> str:
        value = self._given.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise ToolMistake(f"`{name}` has to be a text")
        return value

    def number(self, name: str, default: int) -> int:
        value = self._given.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise ToolMistake(f"`{name}` has to be a whole number")
        return int(value)


def _document(name: str, documents: Mapping[str, Text]) -> Text:
    if name not in documents:
        shown = ", ".join(documents)[:1_000]
        raise ToolMistake(f"there is no document {name[:200]!r}; there are: {shown or 'none'}")
    return documents[name]


def _definition(
    name: str, description: str, required: Sequence[str], /, **properties: dict[str, Any]
) -> ToolDefinition:
    return ToolDefinition(
        name=name,
        description=description,
        parameters={
            "type": "object",
            "properties": properties,
            "required": list(required),
            "additionalProperties": False,
        },
    )


def _calculate(_: BuiltInTool, __: Sequence[str]) -> ToolDefinition:
    return _definition(
        "calculate",
        "Calculates exactly: numbers, + - * / // % ** ( ), and the functions"
        f" {', '.join(FUNCTIONS)}. For example `17 * 23` or `round((1200 - 300) / 7, 2)`.",
        ["expression"],
        expression={"type": "string", "minLength": 1, "maxLength": MAX_EXPRESSION},
    )


def _read_document(_: BuiltInTool, documents: Sequence[str]) -> ToolDefinition:
    return _definition(
        "read_document",
        "Reads a document, or the part of it that begins at the character `start`.",
        ["name"],
        name={"type": "string", "enum": list(documents)},
        start={"type": "integer", "minimum": 0, "description": "by default 0, the beginning"},
        length={"type": "integer", "minimum": 1, "description": "in characters; by default all"},
    )


def _search_documents(_: BuiltInTool, documents: Sequence[str]) -> ToolDefinition:
    return _definition(
        "search_documents",
        "Finds a word or a phrase in the documents, whatever its case, and shows the places with"
        " their positions, which `start` of read_document takes.",
        ["query"],
        query={"type": "string", "minLength": 1, "maxLength": MAX_QUERY},
        name={
            "type": "string",
            "enum": list(documents),
            "description": "the only document to search; by default all",
        },
        max_hits={"type": "integer", "minimum": 1, "maximum": MAX_HITS},
    )


def _fetch(tool: BuiltInTool, _: Sequence[str]) -> ToolDefinition:
    hosts = ", ".join(tool.hosts)
    return _definition(
        "fetch",
        f"Reads a page as text, by GET. Allowed hosts: {hosts}."[:2_000],
        ["url"],
        url={"type": "string", "minLength": 8},  # a maxLength of 2000 is refused by llama.cpp
        start={
            "type": "integer",
            "minimum": 0,
            "description": "where to read on in a long page, in characters",
        },
    )


_DEFINITIONS: Final[Mapping[str, Callable[[BuiltInTool, Sequence[str]], ToolDefinition]]] = {
    "calculate": _calculate,
    "read_document": _read_document,
    "search_documents": _search_documents,
    "fetch": _fetch,
}
