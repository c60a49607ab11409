"""An agent's assignment, and the requests that are made from it: one body, one key."""

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from temporalio import workflow

from durable_agent_team.contracts.call import (
    MAX_REJECTED,
    AccountRef,
    CallRequest,
    Purpose,
    Rejected,
    Source,
)
from durable_agent_team.contracts.conversation import Conversation
from durable_agent_team.contracts.error_types import ERRORS, ErrorType
from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.team import BuiltInOutput, Caller, Checks
from durable_agent_team.rules.bounds import (
    MAX_PROMPT_BYTES,
    estimated_tokens,
    text_bytes,
    worst_case_usd,
)
from durable_agent_team.rules.catalog import context_of, price_of
from durable_agent_team.rules.encoded_size import MAX_PAYLOAD_BYTES, encoded_bytes
from durable_agent_team.rules.programs import run_of
from durable_agent_team.rules.repair_room import MAX_GROWTH, payable_tokens, raised_tokens
from workflows.state.open_call import Issued
from workflows.task_exceptions import TaskFailed


@dataclass(frozen=True)
class Assignment:
    """What an agent has to do, in all the calls that it takes to get a good answer."""

    agent: str
    caller: Caller
    subject: str
    system: str
    ask: str
    purpose: Purpose = Purpose.WORK
    goal: str | None = None
    sources: tuple[Source, ...] = ()
    missing: tuple[str, ...] = ()
    output: BuiltInOutput | dict[str, Any] = "text"
    checks: Checks = field(default_factory=Checks)
    checked_by_workflow: bool = False
    max_tokens: int | None = None
    """More than the agent's own, for a plan or a review."""

    @property
    def tokens(self) -> int:
        """The most tokens of an answer. What a person sets meanwhile takes effect at once."""
        own = self.caller.max_tokens
        if self.max_tokens is None or "max_tokens" in self.caller.model_fields_set:
            return own
        return max(own, self.max_tokens)


@dataclass(frozen=True)
class AnswerRoom:
    """What a plan may have, and a repair after an answer that was cut off."""

    growth: int
    """How many times the assignment's tokens."""
    available_usd: Decimal
    """What the account can still promise."""


class CallRequests:
    """Makes requests, and bounds what each of them can cost."""

    def __init__(self, catalog: ModelCatalog) -> None:
        self._catalog = catalog

    def make(
        self,
        assignment: Assignment,
        account: AccountRef,
        model: str,
        rejected: Rejected | None,
        room: AnswerRoom | None = None,
        scope: str | None = None,
        conversation: Conversation | None = None,
    ) -> CallRequest:
        """A request with a new key, or for a program with that of its scope. Raises TaskFailed
        where the prompt does not fit.

        `room` is for what may have more than the agent's own `max_tokens`; `conversation` is the
        whole form of a turn's.
        """
        key = scope or str(workflow.uuid4())
        own = assignment.caller.max_tokens
        request = self._request(assignment, account, model, rejected, key, own, conversation)
        if room is not None and assignment.tokens * room.growth > own:
            tokens = self._raised(assignment, request, room)
            request = self._request(assignment, account, model, rejected, key, tokens, conversation)
        self._check_size(assignment.caller, request, encoded_bytes(request))
        return request

    def _raised(self, assignment: Assignment, request: CallRequest, room: AnswerRoom) -> int:
        price, prompt = price_of(self._catalog, request.model), text_bytes(request)
        context = context_of(assignment.caller, price)
        bounds = (
            assignment.tokens * room.growth,
            price.max_output_tokens if price else None,
            None if context is None else context - estimated_tokens(prompt),
            payable_tokens(room.available_usd, prompt, price),
        )
        return raised_tokens(assignment.caller.max_tokens, MAX_GROWTH, bounds)

    def again(
        self,
        assignment: Assignment,
        account: AccountRef,
        issued: Issued,
        rejected: Rejected | None,
        conversation: Conversation | None = None,
    ) -> CallRequest:
        """The request that was issued for this assignment, under the same key."""
        request = self._request(
            assignment,
            account,
            issued.model,
            rejected,
            issued.key,
            issued.max_tokens,
            conversation,
        )
        if issued.known_limits:
            return request.model_copy(update={"known_limits": issued.known_limits})
        return request

    def _request(
        self,
        assignment: Assignment,
        account: AccountRef,
        model: str,
        rejected: Rejected | None,
        key: str,
        max_tokens: int,
        conversation: Conversation | None = None,
    ) -> CallRequest:
        caller = assignment.caller
        optional: dict[str, Any] = {
            "purpose": assignment.purpose if assignment.purpose is not Purpose.WORK else None,
            "temperature": caller.temperature,
            "raised_from": caller.max_tokens if max_tokens > caller.max_tokens else None,
            "frequency_penalty": caller.frequency_penalty,
            "goal": assignment.goal,
            "sources": assignment.sources,
            "missing": assignment.missing,
            "rejected": rejected,
            "output": assignment.output if assignment.output != "text" else None,
            "checks": assignment.checks if assignment.checks != Checks() else None,
            "checked_by_workflow": assignment.checked_by_workflow,
            "conversation": conversation,
        }
        given = {name: value for name, value in optional.items() if value}
        if caller.seed is not None:  # 0 is a seed
            given["seed"] = caller.seed
        if caller.temperature is None:  # not sent, where 0 is the default
            given["temperature"] = None
        if caller.reasoning_effort is not None:
            given["reasoning_effort"] = caller.reasoning_effort
        request = CallRequest(
            idempotency_key=key,
            account=account,
            task=assignment.subject,
            model=model,
            max_tokens=max_tokens,
            system=assignment.system,
            ask=assignment.ask,
            **given,
        )
        if rejected is not None and encoded_bytes(request) > MAX_PAYLOAD_BYTES:
            return request.model_copy(update={"rejected": _as_sent(rejected)})
        return request

    def _check_size(self, caller: Caller, request: CallRequest, payload_bytes: int) -> None:
        size = text_bytes(request)
        if size > MAX_PROMPT_BYTES:
            raise TaskFailed(
                Failure(
                    type=ErrorType.CONTEXT_EXCEEDED,
                    message=f"the prompt has {size} bytes, more than the {MAX_PROMPT_BYTES} that a"
                    " call may carry; it was not sent",
                )
            )
        if payload_bytes > MAX_PAYLOAD_BYTES:
            raise TaskFailed(
                Failure(
                    type=ErrorType.CONTEXT_EXCEEDED,
                    message=f"the prompt has {size} bytes, and {payload_bytes} as JSON, where"
                    " quotation marks and line breaks take two bytes and control characters six;"
                    f" more than the {MAX_PAYLOAD_BYTES} that a call may carry; it was not sent",
                )
            )
        if run_of(caller) is not None:  # it makes prompts of its own
            return
        context = context_of(caller, price_of(self._catalog, request.model))
        needed = estimated_tokens(size) + request.max_tokens
        if context is not None and needed > context:
            raise TaskFailed(
                Failure(
                    type=ErrorType.CONTEXT_EXCEEDED,
                    message=f"the prompt and max_tokens {request.max_tokens} come to about {needed}"
                    f" tokens, above the {context} of {request.model}; it was not sent",
                )
            )

    def bound(self, request: CallRequest) -> Decimal | None:
        """The most that it can cost, in USD; None where the model has no price."""
        price = price_of(self._catalog, request.model)
        return worst_case_usd(text_bytes(request), request.max_tokens, price)


def _as_sent(rejected: Rejected) -> Rejected:
    """Only with what the agent gets back of its failed answer; the mark of the cut is kept."""
    return rejected.model_copy(update={"answer": rejected.answer[: MAX_REJECTED + 1]})


def digest(request: CallRequest) -> str:
    """SHA-256 of all that is in the body of the call; of a conversation, its own hash stands for
    what was said."""
    beside = {"idempotency_key", "account", "raised_from"}
    said = {"base", "entries", "box", "prompt_bytes", "trace"}
    left_out: dict[str, Any] = {**dict.fromkeys(beside, True), "conversation": said}
    body = request.model_dump_json(exclude=left_out, exclude_unset=True)
    return hashlib.sha256(body.encode()).hexdigest()


NEW_AFTER_CONFLICT = "a-conflict-gets-a-new-key"
"""Runs from before this patch make the call again with the key that was refused."""


def with_new_key(request: CallRequest, **changes: Any) -> CallRequest:
    """A request with another body, which makes it a new call."""
    key = str(workflow.uuid4())
    return request.model_copy(update={**changes, "idempotency_key": key})


def made_again(request: CallRequest, failure: Failure) -> CallRequest:
    """The same call, when an operator has woken it. After a limit of the gateway's own it says that
    this is known: otherwise the gateway would not repeat what it may have been billed for. A key
    that the gateway knows with another body is of no use: the call gets a new one."""
    if failure.type == ErrorType.KEY_CONFLICT and workflow.patched(NEW_AFTER_CONFLICT):
        return with_new_key(request)
    if ERRORS[ErrorType(failure.type)].repeated:
        return request
    return request.model_copy(update={"known_limits": request.known_limits + 1})
