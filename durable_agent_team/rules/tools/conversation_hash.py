"""The hash that names a conversation: SHA-256 over its head, and then over each entry in turn.

The workflow and the worker both compute it. Two conversations with equal hashes have equal prompts.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Protocol

from durable_agent_team.contracts.call import Source
from durable_agent_team.contracts.conversation import Entry
from durable_agent_team.contracts.team import BuiltInOutput, Checks

HEAD = frozenset({"system", "goal", "sources", "missing", "ask", "output", "checks"})
"""The fields of a request that are only in the whole form of a conversation."""


class Head(Protocol):
    """What stands before the first entry: of an assignment, or of a request in the whole form."""

    @property
    def system(self) -> str: ...
    @property
    def goal(self) -> str | None: ...
    @property
    def sources(self) -> tuple[Source, ...]: ...
    @property
    def missing(self) -> tuple[str, ...]: ...
    @property
    def ask(self) -> str: ...
    @property
    def output(self) -> BuiltInOutput | dict[str, Any]: ...
    @property
    def checks(self) -> Checks: ...


def head_hash(head: Head, box: str, *, native: bool) -> str:
    """`box` is the hash of the agent's tools, `native` whether its model takes tools."""
    parts = {
        "system": head.system,
        "goal": head.goal,
        "sources": [_source(each) for each in head.sources],
        "missing": head.missing,
        "ask": head.ask,
        "output": head.output,
        "checks": head.checks.model_dump(mode="json"),
        "box": box,
        "native": native,
    }
    return hashlib.sha256(_canonical(parts)).hexdigest()


def extended(base: str, entries: Iterable[Entry]) -> str:
    """The hash of a conversation after these entries."""
    for entry in entries:
        added = _canonical(entry.model_dump(mode="json", exclude_defaults=True))
        base = hashlib.sha256(base.encode() + added).hexdigest()
    return base


def _source(source: Source) -> dict[str, Any]:
    """As it travels: a text, or the hash of one that is stored."""
    return {
        "name": source.name,
        "text": source.text,
        "sha256": source.ref.sha256 if source.ref else None,
        "first": source.first,
    }


def _canonical(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")
