"""The built-in tools as the dispatch calls them: schemas, results, and mistakes of the model."""

from collections.abc import Mapping
from typing import Any, get_args

import jsonschema
import pytest

from activities.tools.built_in.built_in_tools import BuiltInTools
from activities.tools.built_in.exceptions import PageUnreachable
from activities.tools.built_in.page_fetch import Page, PageFetcher
from activities.tools.exceptions import ToolTimedOut, ToolUnreachable
from durable_agent_team.blobs.texts import Texts
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.contracts.tool_kinds import BuiltIn, BuiltInTool
from tests.support.memory_blobs import MemoryBlobs

DOCUMENTS: dict[str, Text] = {"a.md": "Alpha beta. " * 100, "b.md": "Gamma"}


class ScriptedFetcher(PageFetcher):
    def __init__(self, page: Page | Exception) -> None:
        super().__init__()
        self.page = page

    async def get(self, url: str, hosts: Any, seconds: float) -> Page:
        if isinstance(self.page, Exception):
            raise self.page
        return self.page


def tools(page: Page | Exception | None = None) -> BuiltInTools:
    return BuiltInTools(Texts(MemoryBlobs()), ScriptedFetcher(page) if page else None)


async def called(
    name: Any,
    arguments: dict[str, Any],
    documents: Mapping[str, Text] = DOCUMENTS,
    page: Page | Exception | None = None,
    **changes: Any,
) -> tuple[str, bool]:
    tool = BuiltInTool(built_in=name, **changes)
    done = await tools(page).call(tool, arguments, documents, 5)
    return done.text, done.is_error


@pytest.mark.parametrize("name", get_args(BuiltIn))
def test_each_has_a_schema_that_is_one(name: Any) -> None:
    made = tools().definition(BuiltInTool(built_in=name, hosts=("docs.example",)), list(DOCUMENTS))
    jsonschema.Draft202012Validator.check_schema(made.parameters)
    assert made.name == name
    assert made.description


def test_the_documents_and_the_hosts_are_named_to_the_model() -> None:
    read = tools().definition(BuiltInTool(built_in="read_document"), list(DOCUMENTS))
    assert read.parameters["properties"]["name"]["enum"] == ["a.md", "b.md"]
    fetch = BuiltInTool(built_in="fetch", hosts=("docs.example", "*.b.example"))
    assert "docs.example, *.b.example" in tools().definition(fetch, []).description


async def test_a_result_and_a_mistake_are_both_results() -> None:
    assert await called("calculate", {"expression": "6 * 7"}) == ("42", False)
    text, is_error = await called("calculate", {"expression": "6 * x"})
    assert (text.startswith("calculate: 'x' at character 5"), is_error) == (True, True)
    assert await called("calculate", {}) == ("calculate: `expression` has to be a text", True)
    text, is_error = await called("read_document", {"name": "c.md"})
    assert (text, is_error) == (
        "read_document: there is no document 'c.md'; there are: a.md, b.md",
        True,
    )
    assert (await called("read_document", {"name": "b.md", "start": "x"}))[1]


async def test_a_long_document_is_read_in_parts_within_the_bound() -> None:
    text, _ = await called("read_document", {"name": "a.md"}, max_result_bytes=500)
    assert len(text) <= 500
    assert text.startswith("[characters 0 to 299 of 1200; read on with start: 300]\n")
    rest, _ = await called("read_document", {"name": "a.md", "start": 1_190.0, "length": 100})
    assert rest.endswith(str(DOCUMENTS["a.md"])[1_190:])


async def test_a_stored_document_is_read_from_the_store() -> None:
    texts = Texts(MemoryBlobs())
    stored = await texts.keep("needle " * 1_000)
    assert not isinstance(stored, str)
    tool = BuiltInTool(built_in="search_documents")
    made = BuiltInTools(texts)
    found = await made.call(tool, {"query": "needle"}, {"s": stored, **DOCUMENTS}, 5)
    assert found.text.startswith("1000 places")
    narrow = {"query": "needle", "name": "b.md"}
    assert "Nothing" in (await made.call(tool, narrow, {"s": stored, **DOCUMENTS}, 5)).text


async def test_a_page_with_an_error_status_is_an_error_with_its_text() -> None:
    page = Page("https://docs.example/x", 404, "no such page")
    text, is_error = await called("fetch", {"url": page.url}, page=page)
    assert (text, is_error) == ("HTTP 404 from https://docs.example/x\nno such page", True)
    page = Page(page.url, 200, "z" * 1_000)
    text, is_error = await called("fetch", {"url": page.url}, page=page, max_result_bytes=400)
    assert (text.startswith("[characters 0 to 199 of 1000; read on"), is_error) == (True, False)


async def test_what_another_attempt_may_do_is_an_error_of_the_activity() -> None:
    with pytest.raises(ToolUnreachable) as unreachable:
        await called("fetch", {"url": "https://x"}, page=PageUnreachable("no HTTP response"))
    assert (unreachable.value.final, unreachable.value.sent) == (False, False)
    with pytest.raises(ToolTimedOut):
        await called("fetch", {"url": "https://x"}, page=TimeoutError())
