"""The activity of a paid call: one body, one key, one POST, and the answer's checks."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.calls import request_body
from activities.calls.answer_reading import Reading, read
from activities.calls.spans import call_span
from activities.conversations.known_conversations import KnownConversations, UnknownConversation
from activities.conversations.turn_reading import Spoken, spoken
from activities.error_translation import error_type, translated
from activities.heartbeats import earlier_spend, heartbeating, time_left
from activities.judging.argument_checks import edited_arguments_problem
from activities.judging.checked_answer import judged, kept_answer, seconds_left
from activities.judging.judge import Judge
from activities.judging.schema_checks import schema_problems
from durable_agent_team.atxp.chat_client import (
    ChatClient,
    Completion,
    CompletionRequest,
    StoredAnswer,
)
from durable_agent_team.atxp.exceptions import MalformedAnswer, ProviderRefused
from durable_agent_team.atxp.sealing import Sealer
from durable_agent_team.blobs.store import BlobsUnreachable, NoBlobs
from durable_agent_team.blobs.texts import Texts, call_in_full
from durable_agent_team.contracts.activity_interfaces import AgentActivities
from durable_agent_team.contracts.arguments_check import ArgumentsCheck, ArgumentsVerdict
from durable_agent_team.contracts.base import round_up
from durable_agent_team.contracts.bounded_text import cut
from durable_agent_team.contracts.call import (
    MAX_ANSWER,
    MAX_THINKING,
    AttemptSpend,
    CallRequest,
    CallResult,
)
from durable_agent_team.contracts.error_types import ERRORS, ErrorType, Outcome
from durable_agent_team.contracts.output_check import OutputCheck, OutputVerdict
from durable_agent_team.contracts.output_schema import schema_problem
from durable_agent_team.contracts.text_ref import Text
from durable_agent_team.providers.finish_reasons import Ending

MARGIN_SECONDS = 1.0
THINKING_SECONDS = 2.0
"""How long a store that is away is waited for, to keep a thought."""
PLAN_CHECK_SECONDS = 20.0
"""For the schemas of all tasks of a plan."""
RETRIED = (Outcome.RETRIED, Outcome.OUTLASTED)


class Agents(AgentActivities):
    """Does not retry: the type of an error decides whether Temporal sends the same call again."""

    def __init__(
        self,
        chat: ChatClient,
        sealer: Sealer,
        texts: Texts | None = None,
        judge: Judge | None = None,
    ) -> None:
        self._chat = chat
        self._sealer = sealer
        self._texts = texts or Texts(NoBlobs())
        self._judge = judge or Judge()
        self._conversations = KnownConversations()

    @activity.defn
    async def call_agent(self, call: CallRequest) -> CallResult:
        """One paid call, its answer checked. A failed check is a result, not an error.

        Every error carries an `AttemptSpend`: what this call is known to have cost so far. It
        is passed from attempt to attempt in the heartbeat's details.
        """
        earlier = earlier_spend(call.task)
        known = earlier
        started_at, clock = datetime.now(UTC), time.perf_counter()
        try:
            with (
                call_span(call) as attempt,
                translated(earlier, activity.heartbeat, workflow_waits=True),
            ):
                try:
                    async with heartbeating(earlier):
                        call = await self._in_full(call, earlier)
                        await self._judge.prepare(call)
                        done = await self._chat.complete(self._order(call))
                except (MalformedAnswer, ProviderRefused) as useless:
                    attempt.useless(useless)
                    stored = StoredAnswer.of(useless)
                    if stored is None or ERRORS[error_type(useless)].outcome not in RETRIED:
                        raise
                    seconds = time.perf_counter() - clock
                    return attempt.judged(
                        _without_answer(useless, stored, earlier, started_at, seconds)
                    )
                attempt.answered(done)
                known = _billed(earlier, done)
                with translated(known):
                    seconds = time.perf_counter() - clock
                    async with heartbeating(earlier):
                        result = await self._checked(call, done, earlier, started_at, seconds)
                    return attempt.judged(result)
        except asyncio.CancelledError:
            _raise_for_cancellation(known)
            raise

    @activity.defn
    async def check_output(self, check: OutputCheck) -> OutputVerdict:
        """Whether the `output` of a task, or of each task of a plan, is a JSON Schema."""
        found = await schema_problems(check.outputs, PLAN_CHECK_SECONDS)
        problem = await asyncio.to_thread(schema_problem, check.output)
        return OutputVerdict(problem=problem, **{"problems": found} if found else {})

    @activity.defn
    async def check_arguments(self, check: ArgumentsCheck) -> ArgumentsVerdict:
        """Whether arguments that a person wrote fit the tool's schema."""
        with translated(earlier_spend()):
            seconds = time_left(MARGIN_SECONDS)
            problem = await edited_arguments_problem(check, self._texts, self._judge, seconds)
        return ArgumentsVerdict(problem=cut(problem, 2_000))

    async def _in_full(self, call: CallRequest, earlier: AttemptSpend) -> CallRequest:
        """The call with its texts, and of a turn with all that was said before. Raises
        ApplicationError where that is not known here."""
        try:
            whole = self._conversations.whole(call)
        except UnknownConversation:
            raise ApplicationError(
                "this worker does not have the conversation; nothing was sent",
                earlier,
                type=ErrorType.UNKNOWN_BASE.value,
                non_retryable=True,
            ) from None
        full = await call_in_full(whole, self._texts, time_left(MARGIN_SECONDS))
        self._conversations.keep(full, call)
        return full

    async def _checked(
        self,
        call: CallRequest,
        done: Completion,
        earlier: AttemptSpend,
        started_at: datetime,
        seconds: float,
    ) -> CallResult:
        """The billed answer as the run gets it: read, judged, and kept where the run finds it."""
        reading = read(done, call.max_tokens, wants_json=call.output != "text")
        said = await self._said(call, done, reading)
        answer, reasons = await self._judged(call, reading, said)
        kept = await kept_answer(call, answer[:MAX_ANSWER], self._texts)
        thinking = await self._kept_thinking(reading.thinking[:MAX_ANSWER])
        result = _result(done, reading, kept, thinking, reasons, earlier, started_at, seconds)
        return result if said.turn is None else result.model_copy(update={"turn": said.turn})

    async def _said(self, call: CallRequest, done: Completion, reading: Reading) -> Spoken:
        """What an agent with tools said; of others, their answer."""
        if call.conversation is None or reading.refusal:
            return Spoken(answer=reading.answer)
        return await spoken(call, done.message, reading, self._judge)

    async def _judged(
        self, call: CallRequest, reading: Reading, said: Spoken
    ) -> tuple[str, tuple[str, ...]]:
        """The answer, without what stands around its JSON, and why it may not be handed on."""
        if said.turn is not None:
            return "", ()
        if said.problem:
            return said.answer, (said.problem,)
        reading = replace(reading, answer=said.answer)
        if reading.refusal:
            return "", (f"The model refused: {reading.refusal}",)
        if reading.cut_off is not None and call.checks.complete:
            return reading.answer, (reading.cut_off,)
        answer, reasons = await judged(call, reading.answer, self._judge)
        if reasons and reading.cut_off is not None:
            reasons = (reading.cut_off, *reasons)
        return answer, reasons

    async def _kept_thinking(self, thinking: str) -> Text:
        """The reference to it, or as much of it as the history has room for. Nobody waits for it:
        where the store is away, its beginning is kept."""
        if self._texts.can_store:
            try:
                return await self._texts.keep(thinking, min(seconds_left(), THINKING_SECONDS))
            except BlobsUnreachable as error:
                activity.logger.warning("a thought is kept in Temporal's history: %s", error)
        return cut(thinking, MAX_THINKING)

    def _order(self, call: CallRequest) -> CompletionRequest:
        account, attempt = call.account, activity.info().start_to_close_timeout
        return CompletionRequest(
            body=request_body.body(call),
            model=call.model,
            max_tokens=call.max_tokens,
            idempotency_key=call.idempotency_key,
            key=self._sealer.unseal(account.sealed_key, account.account_id),
            timeout_seconds=time_left(MARGIN_SECONDS),
            call_timeout_seconds=attempt.total_seconds() if attempt else None,
            known_limits=call.known_limits,
        )


def _result(
    done: Completion,
    reading: Reading,
    answer: Text,
    thinking: Text,
    reasons: tuple[str, ...],
    earlier: AttemptSpend,
    started_at: datetime,
    seconds: float,
) -> CallResult:
    """Sets only what differs from the defaults, which keeps the history small."""
    extras: dict[str, Any] = {
        "reasons": reasons,
        "finish_reason": "" if reading.ending is Ending.STOP else reading.ending.value,
        "refusal": reading.refusal,
        "thinking" if isinstance(thinking, str) else "thinking_ref": thinking,
        "estimated": done.cost.estimated,
        "replayed": done.replayed,
        "failed_attempts_usd": earlier.spent_usd,
        "account_spent_usd": done.account_spent_usd,
        "account_possibly_billed_calls": done.account_possibly_billed_calls,
        "account_possibly_billed_usd": done.account_possibly_billed_usd,
    }
    return CallResult(
        **{"answer": answer} if isinstance(answer, str) else {"answer_ref": answer},
        cost_usd=done.cost.usd,
        usage=done.usage,
        started_at=started_at,
        seconds=round(seconds, 4),
        **{name: value for name, value in extras.items() if value},
    )


def _without_answer(
    error: MalformedAnswer | ProviderRefused,
    stored: StoredAnswer,
    earlier: AttemptSpend,
    started_at: datetime,
    seconds: float,
) -> CallResult:
    """The result for a billed response without an answer, which the gateway stored.

    The same call would get the same response, so it is returned as an answer that failed its
    checks: the repair is a new call. It is charged once, whether or not an earlier attempt saw it.
    """
    return CallResult(
        answer="",
        reasons=(f"There was no answer: {error}",),
        cost_usd=stored.cost.usd,
        estimated=stored.cost.estimated,
        usage=stored.usage,
        replayed=True,
        failed_attempts_usd=max(earlier.spent_usd - stored.cost.usd, Decimal(0)),
        started_at=started_at,
        seconds=round(seconds, 4),
    )


def _billed(earlier: AttemptSpend, done: Completion) -> AttemptSpend:
    spent = round_up(earlier.spent_usd + done.cost.usd)
    return earlier.model_copy(update={"spent_usd": spent})


def _raise_for_cancellation(earlier: AttemptSpend) -> None:
    """Raises an error if the cancellation must carry details or comes from a worker's shutdown.

    The SDK drops the details of a cancellation, so the known cost of earlier attempts is reported
    in an error. Otherwise returns, and the caller raises the cancellation.
    """
    details = activity.cancellation_details()
    if details is None:
        return
    if details.cancel_requested and earlier.spent_usd:
        raise ApplicationError(
            "the call was cancelled after an unusable answer that was billed",
            earlier,
            type=ErrorType.MALFORMED_ANSWER.value,
            non_retryable=True,
        ) from None
    if details.worker_shutdown:
        raise ApplicationError(
            "this worker was shut down in the middle of the call; another one continues it",
            earlier,
            type=ErrorType.UPSTREAM_UNAVAILABLE.value,
            next_retry_delay=timedelta(milliseconds=100),
        ) from None
