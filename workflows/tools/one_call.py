"""One call of a tool, and what it is part of."""

from dataclasses import dataclass
from typing import Protocol

from durable_agent_team.contracts.conversation import ToolCall, ToolMessage
from durable_agent_team.contracts.conversation_view import ToolCallStatus
from durable_agent_team.contracts.team import Agent, Caller
from durable_agent_team.contracts.tool_box import ToolBox, ToolFacts
from durable_agent_team.contracts.tool_kinds import Tool
from workflows.state.tool_work import ToolCallState, ToolWork, key_of, subject_of


class ToolUser(Protocol):
    """The assignment whose turn asks for the call."""

    @property
    def agent(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def caller(self) -> Caller: ...


@dataclass(frozen=True)
class OneCall:
    """A call that the run makes, with the turn, the conversation and the agent it belongs to."""

    user: ToolUser
    work: ToolWork
    state: ToolCallState
    number: str
    asked: ToolCall
    facts: ToolFacts
    box: ToolBox

    @property
    def subject(self) -> str:
        return subject_of(self.work.task, self.number)

    @property
    def key(self) -> str:
        return key_of(self.work.conversation, self.number)

    @property
    def arguments(self) -> str:
        """The ones that a person edited while approving the call, or else the model's."""
        return self.asked.arguments if self.state.edited is None else self.state.edited

    @property
    def tool(self) -> Tool:
        assert isinstance(self.user.caller, Agent)
        return self.user.caller.tools[self.facts.entry]

    def end(self, status: ToolCallStatus, text: str, reason: str = "") -> None:
        failed = {"failed": True} if status is ToolCallStatus.FAILED else {}
        message = ToolMessage(id=self.asked.id, name=self.asked.name, text=text, **failed)
        self.state.end(status, message, reason)
