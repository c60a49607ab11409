"""Output formats: the schema that constrains the model, and the schema that the check uses."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from durable_agent_team.contracts.call import CallRequest, Source
from durable_agent_team.contracts.team import BuiltInOutput

MAX_FINDINGS = 5
MAX_SENTENCES = 120
SENTENCE_LENGTH = range(20, 301)
BYTES_PER_TOKEN = 3
FINDING_TOKENS = 24
"""Tokens of a finding without its quote and its source's name. Both figures are conservative."""

Choice = tuple[str, str]
"""A source's name, and a sentence of it."""

_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“„«(\[]?[A-Z0-9À-Þ])")
_MARKER = re.compile(r"^\s*(?:[-*+•]|\d+[.)])\s+")
_BREAK = re.compile(r"^\s*(?:[-*+•]\s|\d+[.)]\s|#|\||>|```|---|===|$)")

FINDINGS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "source": {"type": "string", "maxLength": 200},
                    "quote": {"type": "string", "minLength": 1, "maxLength": 2_000},
                },
                "required": ["source", "quote"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["findings"],
    "additionalProperties": False,
}


def output_schema(output: BuiltInOutput | dict[str, Any]) -> dict[str, Any] | None:
    """What the answer is checked against, or None for plain text."""
    if output == "text":
        return None
    return FINDINGS_SCHEMA if output == "findings" else dict(output)


def response_format(call: CallRequest) -> dict[str, Any] | None:
    """The format that constrains the model's output, or None for plain text."""
    if call.output == "text":
        return None
    if call.output == "findings":
        return _json_schema("findings", findings_generation(call.sources, call.max_tokens))
    return _json_schema("output", dict(call.output))


def findings_generation(sources: Sequence[Source], max_tokens: int) -> dict[str, Any]:
    """Findings whose quotes are chosen from the sources' own sentences: none can be invented.

    Each place in the list has its own share of the sentences, so that no quote can come twice.
    With too many sentences for a grammar, or with none, quotes are bounded strings and only the
    check catches invented ones.
    """
    choices = _choices(sources)
    if 0 < len(choices) <= MAX_SENTENCES:
        places = [_place(share) for share in _shares(choices, max_tokens)]
        # Without `items: false`, which llama.cpp refuses: `maxItems` says the same.
        findings = {"type": "array", "prefixItems": places, "maxItems": len(places)}
    else:
        bounded = {"minLength": SENTENCE_LENGTH.start, "maxLength": SENTENCE_LENGTH.stop - 1}
        items = _finding([source.name for source in sources], bounded)
        findings = {"type": "array", "items": items, "maxItems": MAX_FINDINGS}
    return {
        "type": "object",
        "properties": {"findings": {**findings, "minItems": 1}},
        "required": ["findings"],
        "additionalProperties": False,
    }


def _choices(sources: Sequence[Source]) -> list[Choice]:
    """Every sentence once, with the first source that has it."""
    found: dict[str, str] = {}
    for source in sources:
        for sentence in source_sentences(source.text):
            found.setdefault(sentence, source.name)
    return [(name, sentence) for sentence, name in found.items()]


def _shares(choices: list[Choice], max_tokens: int) -> list[list[Choice]]:
    """Deals the sentences out in turns, so that neighbouring sentences can be chosen together.

    Makes no more shares than findings fit into the answer: llama.cpp fills every place.
    """
    longest = max(len(f"{name}{sentence}".encode()) for name, sentence in choices)
    fit = max_tokens // (longest // BYTES_PER_TOKEN + FINDING_TOKENS)
    count = max(min(MAX_FINDINGS, len(choices), fit), 1)
    return [choices[place::count] for place in range(count)]


def _place(share: list[Choice]) -> dict[str, Any]:
    quotes: dict[str, list[str]] = {}
    for name, sentence in share:
        quotes.setdefault(name, []).append(sentence)
    shapes = [_finding([name], {"enum": own}) for name, own in quotes.items()]
    return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}


def _finding(names: list[str], quote: dict[str, Any]) -> dict[str, Any]:
    source: dict[str, Any] = {"type": "string", "maxLength": 200}
    if names:
        source = {"type": "string", "enum": names}
    return {
        "type": "object",
        "properties": {"source": source, "quote": {"type": "string", **quote}},
        "required": ["source", "quote"],
        "additionalProperties": False,
    }


def _json_schema(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}


def source_sentences(text: str) -> Iterator[str]:
    """The sentences of a source, each once and in order, without headings and fragments."""
    seen: set[str] = set()
    for paragraph in _paragraphs(text):
        for sentence in _END.split(paragraph):
            sentence = sentence.strip()
            if len(sentence) in SENTENCE_LENGTH and sentence not in seen:
                seen.add(sentence)
                yield sentence


def _paragraphs(text: str) -> Iterator[str]:
    """Running text on one line each: wrapped lines joined, list items and headings apart."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            yield from _strings(json.loads(text))
            return
        except (ValueError, RecursionError):
            pass
    lines: list[str] = []
    for line in text.splitlines():
        if _BREAK.match(line):
            yield " ".join(" ".join(lines).split())
            lines = []
        if not line.lstrip().startswith(("#", "|", "```", "---", "===")):
            lines.append(_MARKER.sub("", line).lstrip("> "))
    yield " ".join(" ".join(lines).split())


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield " ".join(value.split())
    elif isinstance(value, dict) and value.keys() == {"source", "quote"}:
        yield from _strings(value["quote"])  # a file name is not a sentence to quote
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
