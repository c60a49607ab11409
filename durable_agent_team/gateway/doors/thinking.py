"""A model's thinking as chat answers carry it, in the two spellings that upstreams use.

- `reasoning_content` (DeepSeek, vLLM, xAI) or `reasoning` (OpenRouter, Groq): a text.
- `thinking_blocks`: Anthropic's own blocks with their signatures, from an upstream that speaks
  Messages. Such a block must come back unchanged in the next request of a loop with tools.

- `reasoning_details`: OpenRouter's list, in which the reasoning items of an upstream that speaks
  Responses are, too (`reasoning_details.py`).

At the Responses door, blocks and details travel in an item's `encrypted_content`, which clients
send back.
"""

import base64
import json
from typing import Any

from durable_agent_team.gateway.api_error import invalid
from durable_agent_team.gateway.doors.fields import Json
from durable_agent_team.gateway.doors.reasoning_details import is_detail
from durable_agent_team.gateway.strict_json import parse_request

BLOCKS = "thinking_blocks"
TEXTS = ("reasoning_content", "reasoning")
PREFIX = "thinking-blocks:"
KINDS = {"thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}


def thinking_text(message: Json) -> str:
    """The thinking of a message or of a chunk's delta; empty if it has none."""
    for name in TEXTS:
        value = message.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def valid_blocks(value: Any) -> list[Json]:
    """The blocks that are well-formed, with the fields that they have at Anthropic."""
    blocks = value if isinstance(value, list) else []
    return [plain(block) for block in blocks if is_block(block)]


def unsigned_text(blocks: Any) -> str:
    """The thinking that came from a chat answer: nobody has signed it."""
    found = (each for each in valid_blocks(blocks) if each.get("signature") == "")
    return "".join(each["thinking"] for each in found)


def plain(block: Json) -> Json:
    """Without its `index`, by which clients of a chat's stream put its parts together."""
    return {name: block[name] for name in ("type", *KINDS[block["type"]])}


def is_block(block: Any) -> bool:
    kind = block.get("type") if isinstance(block, dict) else None
    fields = KINDS.get(kind) if isinstance(kind, str) else None
    return fields is not None and all(isinstance(block.get(name), str) for name in fields)


def merged(parts: list[Json]) -> list[Json]:
    """Whole blocks from those of a stream, where a block arrives in parts, its signature last."""
    found: list[Json] = []
    texts: list[list[str]] = []
    for part in parts:
        last = found[-1] if found else {}
        if last.get("type") == part["type"] == "thinking" and not last["signature"]:
            last["signature"] = part["signature"]
        else:
            found.append(dict(part))
            texts.append([])
        texts[-1].append(part.get("thinking", ""))
    for whole, written in zip(found, texts, strict=True):
        if whole["type"] == "thinking":
            whole["thinking"] = "".join(written)
    return found


def sealed(blocks: list[Json], details: list[Json]) -> str:
    """As one text for a client to keep. It is encoded, not encrypted: it contains no secret."""
    kept = {"blocks": blocks, **({"details": details} if details else {})}
    return PREFIX + base64.b64encode(json.dumps(kept).encode()).decode()


def unsealed(text: str, path: str) -> tuple[list[Json], list[Json]]:
    """The blocks and the details. Raises ApiError unless `sealed` made it: another provider's
    thinking cannot be read here."""
    try:
        raw = base64.b64decode(text.removeprefix(PREFIX), validate=True)
        found = parse_request(raw)
    except ValueError:
        found = {}
    blocks, details = found.get("blocks"), found.get("details", [])
    if (
        not text.startswith(PREFIX)
        or not (isinstance(blocks, list) and all(map(is_block, blocks)))
        or not (isinstance(details, list) and all(map(is_detail, details)))
    ):
        message = f"`{path}` is not from an answer of this gateway, so nobody here can read it"
        raise invalid(f"{message}. Leave the reasoning item out.", "unsupported_content")
    return [plain(block) for block in blocks], details
