"""Makes one text of the result of `tools/call`, which may hold anything."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from activities.tools.called_tool import CalledTool

_ACTING: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters that are no white space, and halves of characters."""
NOTHING: Final = "[no content]"
MAX_NAME: Final = 300


def called_tool(result: Mapping[str, Any]) -> CalledTool:
    """Texts as they are; images, sounds and files by name and size. What a server gives twice, as
    text and as structured content, is there once (MCP 2025-06-18, "Structured Content")."""
    if result.get("resultType") == "input_required":
        return CalledTool("The tool asks for more input, which agents do not give.", is_error=True)
    blocks = result.get("content")
    texts: list[str] = []
    others: list[str] = []
    for block in blocks if isinstance(blocks, list) else []:
        if isinstance(block, Mapping):
            text, is_text = _block(block)
            (texts if is_text else others).append(text)
    structured = result.get("structuredContent")
    if structured is not None and not _is_said(structured, texts):
        texts.append(json.dumps(structured, ensure_ascii=False))
    parts = [part for part in (*texts, *others) if part]
    return CalledTool(
        plain_text("\n".join(parts)) or NOTHING, is_error=result.get("isError") is True
    )


def plain_text(text: str) -> str:
    """The text with control characters escaped, `\\x1b`; line breaks and tabs stay."""
    return _ACTING.sub(
        lambda found: found[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n")
    )


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
    if not said:
        return False
    inner = structured
    if isinstance(structured, Mapping) and len(structured) == 1:
        [inner] = structured.values()
    if isinstance(inner, list) and [_as_text(each) for each in inner] == said:
        return True
    for text in (*said, "\n".join(said)):
        if inner == text or any(value == _json(text) for value in (structured, inner)):
            return True
    parsed = [_json(text) for text in said]
    return bool(inner == parsed)


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
