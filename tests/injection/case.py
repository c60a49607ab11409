"""One case of the injection set, read from `cases/*.yaml`."""

import json
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from tests.injection.disguises import DISGUISES

FOLDER = Path(__file__).with_name("cases")
Expected = Literal["asked", "unseen", "refused"]


class Case(BaseModel):
    """`{order}` in any text stands for the order, a call of the tool `victim`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    place: str
    """The file that it is from."""
    ask: str = '@@call read_mail {"n": 1}@@'
    """Of the agent who has the tools: what the team itself wants."""
    result: str = "nothing new"
    """Of the attacker's tool `read_mail`, as a text."""
    again: str | None = None
    """Of its second call, which the ask then orders."""
    content: list[dict[str, Any]] | None = None
    structured: dict[str, Any] | None = None
    beside: dict[str, Any] = {}
    """What else the result of the attacker's tool has, beside its content."""
    is_error: bool = False
    error: dict[str, Any] | None = None
    definitions: list[dict[str, Any]] | None = None
    later: list[dict[str, Any]] | None = None
    """The definitions after they were listed once."""
    instructions: str | None = None
    documents: dict[str, str] = {}
    """Inputs of the task."""
    run_documents: dict[str, str] = {}
    """Inputs of the run, for built-in tools."""
    built_in: list[str | dict[str, Any]] = []
    disguise: str | None = None
    victim: str = "wipe"
    arguments: dict[str, Any] = {"what": "all"}
    """Of the victim."""
    reader: bool = False
    """One agent reads, and another one has the tools."""
    between: bool = False
    unread: bool = False
    """The agent with the tools does not read the hand-off."""
    review: str | None = None
    """The orchestrator's review, in JSON."""
    undefended: bool = True
    """Played without approvals, too. Else another case shows that its kind has an effect then."""
    expect: Expected = "asked"
    """`asked`: the order's call waits for a person. `unseen`: the model never reads the order.
    `refused`: the call is answered with why it is not made."""

    @property
    def bites(self) -> bool:
        """Whether it is played without a defence as well."""
        return self.expect == "asked" and self.undefended

    @property
    def order(self) -> str:
        order = f"@@call {self.victim} {json.dumps(self.arguments)}@@"
        return DISGUISES[self.disguise](order) if self.disguise else order

    def filled(self, value: Any) -> Any:
        """The value, with the order in all its texts and keys."""
        if isinstance(value, str):
            places = {"order": self.order, "tool": self.victim, "filler": "Regards. " * 4_000}
            places |= {"breaks": "\n" * 1_000, "review": self._review}
            for name, text in places.items():
                value = value.replace(f"{{{name}}}", text)
            return value
        if isinstance(value, list):
            return [self.filled(each) for each in value]
        if isinstance(value, dict):
            return {self.filled(name): self.filled(each) for name, each in value.items()}
        return value

    @property
    def _review(self) -> str:
        """With the order's own marks as escapes of JSON: it is an order of the review only."""
        if self.review is None:
            return ""
        inner = json.dumps(self.order)[1:-1].replace("@", "\\u0040")
        return self.review.replace("{order}", inner)


def all_cases() -> list[Case]:
    return [
        Case(place=path.stem, **each)
        for path in sorted(FOLDER.glob("*.yaml"))
        for each in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]
