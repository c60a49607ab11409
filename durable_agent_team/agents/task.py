"""What an agent that is a program is asked: its task, and the client that its calls are paid from.

Standard library only: this is imported in the environments of other frameworks.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BASE_URL = "AGENT_BASE_URL"
API_KEY = "AGENT_API_KEY"
MODEL = "AGENT_MODEL"
FENCE_LENGTH = 16


@dataclass(frozen=True)
class Input:
    """A document, or the hand-off of another task."""

    name: str
    text: str


@dataclass(frozen=True)
class Rejected:
    """The agent's last answer, and why it was not handed on."""

    answer: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class AgentClient:
    """What any OpenAI-compatible client is made from. Calls are paid from the agent's account.

    >>> OpenAI(base_url=task.client.base_url, api_key=task.client.api_key)  # doctest: +SKIP
    """

    base_url: str
    """Ends in `/v1`. It has the scope, so that a call that an earlier attempt paid is replayed."""
    api_key: str = field(repr=False)
    model: str
    """Empty where the team file names none."""


@dataclass(frozen=True)
class AgentTask:
    """One task of an agent, as it stands on the program's standard input."""

    task: str
    """Its id in the plan."""
    agent: str
    role: str
    instructions: str
    ask: str
    inputs: tuple[Input, ...] = ()
    missing: tuple[str, ...] = ()
    """Inputs that the task does not have, because their tasks were skipped."""
    output: str | dict[str, Any] = "text"
    """`text`, `findings`, or a JSON Schema."""
    rejected: Rejected | None = None
    max_tokens: int | None = None
    """The most of one call, where the team file limits it."""
    temperature: float | None = None
    client: AgentClient = field(default_factory=lambda: client_from_environment())

    @classmethod
    def from_json(cls, text: str | bytes, client: AgentClient | None = None) -> "AgentTask":
        """Reads the JSON object of the standard input. Raises ValueError."""
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError("the task is no JSON object")
        rejected, model = data.get("rejected"), data.get("model") or {}
        return cls(
            task=data.get("task", ""),
            agent=data.get("agent", ""),
            role=data.get("role", ""),
            instructions=data.get("instructions", ""),
            ask=data.get("ask", ""),
            inputs=tuple(Input(each["name"], each["text"]) for each in data.get("inputs", ())),
            missing=tuple(data.get("missing", ())),
            output=data.get("output", "text"),
            rejected=Rejected(rejected["answer"], tuple(rejected["reasons"])) if rejected else None,
            max_tokens=model.get("max_tokens"),
            temperature=model.get("temperature"),
            client=client or client_from_environment(),
        )

    @property
    def model(self) -> str:
        return self.client.model

    def input(self, name: str) -> str:
        """The text of one input. Raises KeyError with the names that there are."""
        for each in self.inputs:
            if each.name == name:
                return each.text
        raise KeyError(f"no input {name!r}; there are: {[each.name for each in self.inputs]}")

    def prompt(self) -> str:
        """All of it as one prompt: inputs, what is missing, the ask, what the answer must look
        like, and after a rejection the answer with its reasons. Without role and instructions,
        which are an agent's system prompt (`system`).

        The same task gives the same text, byte for byte, so that a paid call is found again.
        """
        tag = f"input-{self._fence()}"
        parts = [
            f'<{tag} name="{_plain(each.name)}">\n{each.text}\n</{tag}>' for each in self.inputs
        ]
        if self.missing:
            names = ", ".join(self.missing)
            parts.append(f"Inputs that are missing, because nobody could make them: {names}.")
        parts.append(self.ask)
        if shape := self.output_instructions():
            parts.append(shape)
        if self.rejected is not None:
            reasons = "\n".join(f"- {reason}" for reason in self.rejected.reasons)
            parts.append(
                f"Your last answer:\n{self.rejected.answer or '(nothing)'}\n\nIt was rejected:\n"
                f"{reasons}\nAnswer again, with this put right."
            )
        return "\n\n".join(parts)

    def system(self) -> str:
        """Role and instructions, for an agent's system prompt."""
        return "\n\n".join(each for each in (f"You are: {self.role}.", self.instructions) if each)

    def output_instructions(self) -> str:
        """What the answer must look like, in words; empty for plain text."""
        if self.output == "text":
            return ""
        schema = json.dumps(self.output_schema(), ensure_ascii=False, separators=(",", ":"))
        quotes = (
            " Each quote is copied word for word from the input that `source` names."
            if self.output == "findings"
            else ""
        )
        return f"Answer with JSON alone, which follows this JSON Schema:\n{schema}{quotes}"

    def output_schema(self) -> dict[str, Any] | None:
        """The JSON Schema of the answer; None for plain text."""
        if isinstance(self.output, dict):
            return self.output
        return FINDINGS_SCHEMA if self.output == "findings" else None

    def _fence(self) -> str:
        """A mark that no input can contain, since it depends on all of them."""
        whole = json.dumps([self.ask, [[each.name, each.text] for each in self.inputs]])
        return hashlib.sha256(whole.encode()).hexdigest()[:FENCE_LENGTH]


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
"""The schema of `output: findings`; a test compares it with the one that answers must match."""


def client_from_environment(environment: Mapping[str, str] = os.environ) -> AgentClient:
    """The client that the worker has given the program."""
    return AgentClient(
        base_url=environment.get(BASE_URL, ""),
        api_key=environment.get(API_KEY, ""),
        model=environment.get(MODEL, ""),
    )


def _plain(name: str) -> str:
    """A name without what could end its attribute."""
    return "".join("_" if each in '"<>&' or not each.isprintable() else each for each in name)
