"""Makes one text of the result of `tools/call`, which may hold anything.

Of linear cost, and a long text is cut before anything looks at each of its characters.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from activities.tools.called_tool import CalledTool
from durable_agent_team.rules.tools.result_text import bytes_of, ends

_ACTING: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters that are no white space, and halves of characters."""
_ESCAPES: Final = {
    code: chr(code).encode("unicode_escape").decode()
    for code in (*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000))
}
MAX_TEXT: Final = 1_000_000
"""Characters of a result that are kept: more than any tool's `max_result_bytes`."""
MAX_BLOCKS: Final = 10_000
NOTHING: Final = "[no content]"
MAX_NAME: Final = 300


def called_tool(result: Mapping[str, Any]) -> CalledTool:
    """Texts as they are; images, sounds and files by name and size. What a server gives twice, as
    text and as structured content, is there once (MCP 2025-06-18, "Structured Content")."""
    if result.get("resultType") == "input_required":
        return CalledTool("The tool asks for more input, which agents do not give.", is_error=True)
    blocks = result.get("content")
    blocks = blocks if isinstance(blocks, list) else []
    texts: list[str] = []
    others: list[str] = []
    for block in blocks[:MAX_BLOCKS]:
        if isinstance(block, Mapping):
            text, is_text = _block(block)
            (texts if is_text else others).append(text)
    if len(blocks) > MAX_BLOCKS:
        others.append(f"[{len(blocks) - MAX_BLOCKS} more blocks of content, not shown]")
    structured = result.get("structuredContent")
    try:
        if structured is not None and not _is_said(structured, texts):
            texts.append(json.dumps(structured, ensure_ascii=False))
    except RecursionError:  # it was read in a stack that was less deep
        others.append("[structured content, nested too deeply, not shown]")
    whole = "\n".join(part for part in (*texts, *others) if part)
    kept = ends(whole, MAX_TEXT)
    return CalledTool(
        plain_text(kept) or NOTHING,
        is_error=result.get("isError") is True,
        left_out=bytes_of(whole) - bytes_of(kept) if kept != whole else 0,
    )


def plain_text(text: str) -> str:
    """The text with control characters escaped, `\\x1b`; line breaks and tabs stay."""
    text = text.replace("\r\n", "\n")
    return text.translate(_ESCAPES) if _ACTING.search(text) else text


def _block(block: Mapping[str, Any]) -> tuple[str, bool]:
    """How one block is read, and whether that is its own text."""
    kind = block.get("type")
    if kind == "text":
        return str(block.get("text", "")), True
    if kind in ("image", "audio"):
        size = _decoded_bytes(block.get("data"))
        return f"[{kind}: {_name(block.get('mimeType'))}, {size} bytes, not shown]", False
    if kind == "resource_link":
        about = (block.get("name"), block.get("uri"), block.get("mimeType"))
        return f"[resource: {', '.join(_name(each) for each in about if each)}]", False
    if kind == "resource":
        return _resource(block.get("resource"))
    return f"[{_name(kind) or 'content'} of an unknown kind, not shown]", False


def _resource(resource: Any) -> tuple[str, bool]:
    if not isinstance(resource, Mapping):
        return "[a resource that cannot be read]", False
    uri, text = _name(resource.get("uri")), resource.get("text")
    if isinstance(text, str):
        return f"[resource: {uri}]\n{text}", True
    size = _decoded_bytes(resource.get("blob"))
    return f"[resource: {uri}, {_name(resource.get('mimeType'))}, {size} bytes, not shown]", False


def _is_said(structured: Any, texts: list[str]) -> bool:
    """Whether the texts say what the structured content does. What is no object is wrapped in one
    with a single key: `{"result": …}` by the SDKs, `{"content": …}` by server-filesystem."""
    said = [text for text in texts if text]
    if not said or sum(map(len, said)) > MAX_TEXT:  # what is so long is cut in any case
        return bool(said)
    inner = structured
    if isinstance(structured, Mapping) and len(structured) == 1:
        [inner] = structured.values()
    same_number = isinstance(inner, list) and len(inner) == len(said)
    if same_number and [_as_text(each) for each in inner] == said:
        return True
    parsed = [_json(text) for text in said]
    for text, read in [*zip(said, parsed, strict=True), _joined(said)]:
        if inner == text or any(value == read for value in (structured, inner)):
            return True
    return bool(inner == parsed)


def _joined(said: list[str]) -> tuple[str, Any]:
    text = "\n".join(said)
    return text, _json(text)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return NotImplemented  # equal to nothing that JSON can hold


def _name(value: Any) -> str:
    return str(value).replace("\n", " ")[:MAX_NAME] if isinstance(value, str) else ""


def _decoded_bytes(data: Any) -> int:
    return len(data) * 3 // 4 if isinstance(data, str) else 0
