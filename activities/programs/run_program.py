"""The activities of agents that are programs: their environments, and one execution of one."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.error_translation import error_type, translated
from activities.heartbeats import confirm_attempt, earlier_spend, heartbeating_with, time_left
from activities.judging.checked_answer import judged, kept_answer, seconds_left
from activities.judging.judge import Judge
from activities.labelling import label_activity
from activities.programs.environments import Environments
from activities.programs.exceptions import ProgramError
from activities.programs.program_span import program_span, record_result
from activities.programs.remote_progress import Progress, earlier_progress
from activities.programs.runner import ProgramOutput, Runner, Scope
from activities.programs.scope_account import READ_SECONDS, ScopeAccount, ScopeState
from activities.programs.spend_watch import SpendWatch
from durable_agent_team.atxp.exceptions import AtxpError, ProviderRefused, scrub
from durable_agent_team.atxp.sealing import Sealer
from durable_agent_team.blobs.store import BlobsUnreachable
from durable_agent_team.blobs.texts import Texts, call_in_full
from durable_agent_team.contracts.activity_interfaces import ProgramActivities
from durable_agent_team.contracts.base import count_of, round_up
from durable_agent_team.contracts.call import (
    MAX_ANSWER,
    MAX_STDERR,
    AttemptSpend,
    CallResult,
)
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.program import (
    EnvironmentOrder,
    EnvironmentReady,
    ProgramCall,
    scope_attempt,
)
from durable_agent_team.contracts.program_kinds import RemoteRun
from durable_agent_team.contracts.telemetry_labels import AGENT, TASK
from durable_agent_team.contracts.text_ref import Text, TextRef

MARGIN_SECONDS: Final = 5.0
"""The part of the activity's time that is kept for what follows the program's end."""
STDERR_SECONDS: Final = 2.0
"""How long a store that is away is waited for, to keep standard error."""
MAX_FAILURE_STDERR: Final = 1_000
"""Characters of it in an error without a store: Temporal keeps 4 KB of an attempt that is made
again."""
SETTLE_SECONDS: Final = 1.5
"""How long calls are waited for that the program has left in flight: their cost is the scope's."""
GATEWAY_REASONS: Final = frozenset(
    {
        ErrorType.RATE_LIMITED,
        ErrorType.UPSTREAM_UNAVAILABLE,
        ErrorType.UPSTREAM_OUT_OF_FUNDS,
        ErrorType.UPSTREAM_REFUSED,
        ErrorType.GATEWAY_LIMIT,
    }
)
"""What a program that failed is not to blame for. After the last one it is not started again
unasked: it would make the call again that may have been billed."""


class Programs(ProgramActivities):
    """Does not retry: the type of an error decides whether Temporal starts the program again."""

    def __init__(
        self,
        account: ScopeAccount,
        sealer: Sealer,
        judge: Judge,
        texts: Texts,
        environments: Environments,
        runners: Mapping[type, Runner],
    ) -> None:
        """`runners` has one for each kind of `run`."""
        self._account = account
        self._sealer = sealer
        self._judge = judge
        self._texts = texts
        self._environments = environments
        self._runners = runners

    @activity.defn
    async def prepare_environment(self, order: EnvironmentOrder) -> EnvironmentReady:
        """Makes the environment, or finds it made. Heartbeats have the installer's last line."""
        label_activity({AGENT: order.agent})
        directory, clock = Path(order.environment), time.perf_counter()
        with translated(AttemptSpend()):
            async with heartbeating_with(lambda: (self._environments.progress(directory),)):
                found = await self._environments.made(directory)
        seconds = round(time.perf_counter() - clock, 3)
        return EnvironmentReady(python=found.python, made=found.made, seconds=seconds)

    @activity.defn
    async def run_program(self, call: ProgramCall) -> CallResult:
        """One execution of the program, its answer checked. A failed check is a result, not an
        error.

        Every error carries an `AttemptSpend`: `spent_usd` is what the scope has cost since
        `known_spent_usd`. What the gateway refused decides, whatever the program made of it.
        """
        labels = label_activity({TASK: call.call.task, AGENT: call.call.account.agent})
        with program_span(call, labels) as span:
            result = await _Execution(self, call).result()
            record_result(span, result)
            return result


class _Execution:
    """One attempt of one execution."""

    def __init__(self, programs: Programs, call: ProgramCall) -> None:
        self._account, self._texts = programs._account, programs._texts
        self._sealer, self._judge = programs._sealer, programs._judge
        self._runner = programs._runners.get(type(call.run))
        self._call = call
        self._earlier = earlier_spend(call.call.task)
        self._progress = Progress(earlier_progress(), self._beat)
        self._state = self._before = ScopeState()
        self._started_at, self._clock = datetime.now(UTC), time.perf_counter()

    async def result(self) -> CallResult:
        try:
            async with heartbeating_with(self._details):
                return await self._result()
        except asyncio.CancelledError:
            await self._raise_for_cancellation()
            raise

    async def _result(self) -> CallResult:
        output: ProgramOutput | None = None
        failure: ProgramError | None = None
        with translated(self._earlier, self._beat, workflow_waits=True):
            scope = self._scope()
            full = await call_in_full(self._call.call, self._texts, time_left(MARGIN_SECONDS))
            await self._judge.prepare(full)
            await self._account_before(scope)
            call = self._call.model_copy(update={"call": full})
            await confirm_attempt(*self._details())  # what a program does is not fenced
            try:
                async with self._looking(scope):
                    output = await self._run(call, scope)
            except ProgramError as error:
                failure = error
        with translated(self._spend(), self._beat, workflow_waits=True):
            self._state = await self._settled(scope)
        if output is not None:
            failure = self._error_in_place_of_answer(output)
        stderr = failure.stderr if failure else output.stderr if output else ""
        known = self._spend().model_copy(update=await self._kept_stderr(stderr, MAX_FAILURE_STDERR))
        with translated(known, self._beat, workflow_waits=True):
            self._raise_refusal(failed=failure is not None)
            if failure is not None:
                raise failure
            assert output is not None
            answer, reasons = await judged(full, output.answer, self._judge)
            kept = await kept_answer(full, answer[:MAX_ANSWER], self._texts)
            return await self._call_result(output, kept, reasons)

    def _scope(self) -> Scope:
        request, call = self._call.call, self._call
        return Scope(
            name=call.scope,
            attempt=scope_attempt(call.execution, activity.info().attempt),
            gateway_url=self._account.gateway_url,
            key=self._sealer.unseal(request.account.sealed_key, request.account.account_id),
        )

    async def _account_before(self, scope: Scope) -> None:
        """Finds the scope, so that a refusal can be told from an older one, and tells the gateway
        what people have decided."""
        for decided in self._call.effect_answers:
            await self._account.answer(scope, self._call.call.account.account_id, decided)
        self._state = self._before = await self._read(scope, begins=True)
        self._raise_unreported_limit(scope.attempt)

    def _raise_unreported_limit(self, attempt: int) -> None:
        """An attempt of this execution that died with its worker may have run into a limit of the
        gateway's, and could not say so."""
        before = self._before
        error, last = before.failure_since(ScopeState()), before.last_failure or {}
        first = scope_attempt(self._call.execution, 1)
        is_limit = error is not None and error_type(error) is ErrorType.GATEWAY_LIMIT
        if error is not None and is_limit and first <= count_of(last.get("attempt")) < attempt:
            raise error
        if before.last_limit is not None and first <= before.last_limit < attempt:
            raise ProviderRefused(
                what="the gateway, called by the program,",
                status=504,
                message="it had ended a call at a limit of its own, and the worker that ran the"
                " program died before it could say so",
                code="limit_reached",
                amounts={"possibly_billed_usd": before.possibly_billed_usd},
            )

    async def _run(self, call: ProgramCall, scope: Scope) -> ProgramOutput:
        if self._runner is None:
            raise ProgramError(
                ErrorType.BAD_REQUEST,
                f"this worker cannot run {type(call.run).__name__}: let workers of one version"
                " serve the task queue",
                final=True,
            )
        left = time_left(MARGIN_SECONDS) - (time.perf_counter() - self._clock)
        seconds = max(min(call.timeout_seconds, left), 0.1)
        return await self._runner.run(call, scope, seconds, self._progress)

    async def _read(
        self, scope: Scope, seconds: float = READ_SECONDS, *, begins: bool = False
    ) -> ScopeState:
        if not self._is_paid_here:
            return ScopeState()
        return await self._account.read(scope, seconds, begins=begins)

    @property
    def _is_paid_here(self) -> bool:
        """A remote agent that does not get the key costs nothing here, whatever the provider."""
        return not isinstance(self._call.run, RemoteRun) or self._call.run.send_key

    @asynccontextmanager
    async def _looking(self, scope: Scope) -> AsyncIterator[None]:
        """While the program runs, reads what the scope has cost, for the heartbeats and the run."""
        if not self._is_paid_here:
            yield
            return

        async def read(known_usd: Decimal, seconds: float) -> ScopeState:
            return await self._account.read(scope, known_usd=known_usd, wait_seconds=seconds)

        def show(state: ScopeState) -> None:
            self._state = state

        watch = SpendWatch(self._call, read, show)
        following = asyncio.create_task(watch.follow(self._state))
        try:
            yield
        finally:
            following.cancel()

    async def _settled(self, scope: Scope) -> ScopeState:
        """The scope after the program's end, when its calls have ended or have had their time. An
        outage of the gateway is waited out as long as the activity lasts."""
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                state = await self._read(scope)
                if not state.in_flight or time.monotonic() >= until:
                    return state
            except AtxpError:
                left = time_left(MARGIN_SECONDS / 2) - (time.perf_counter() - self._clock)
                if left <= 0:
                    raise
            await asyncio.sleep(0.1)

    def _raise_refusal(self, *, failed: bool) -> None:
        """A 402 of this attempt decides; what else the gateway answered only explains a failure."""
        refused = self._state.refusal_since(self._before)
        if refused is not None and refused.status == 402:
            raise refused
        for error in (refused, self._state.failure_since(self._before)):
            if failed and error is not None and error_type(error) in GATEWAY_REASONS:
                raise error

    def _error_in_place_of_answer(self, output: ProgramOutput) -> ProgramError | None:
        """Some frameworks return the text of an error as the agent's answer (Agno does)."""
        said = scrub(output.answer)
        for error in (
            self._state.refusal_since(self._before),
            self._state.failure_since(self._before),
        ):
            if error is not None and error.message and said.endswith(error.message):
                return ProgramError(
                    ErrorType.PROGRAM_FAILED,
                    f"its answer is the gateway's error and no answer: {error.message}",
                    stderr=output.stderr,
                )
        return None

    def _details(self) -> tuple[object, ...]:
        return self._spend(), *self._progress.details()

    def _beat(self, spend: AttemptSpend | None = None) -> None:
        """A heartbeat now, of which the next attempt reads every detail."""
        activity.heartbeat(spend or self._spend(), *self._progress.details())

    def _spend(self) -> AttemptSpend:
        known = {"spent_usd": self._cost(), "usage": self._state.usage}
        return self._earlier.model_copy(update=known)

    def _cost(self) -> Decimal:
        """What the scope has cost since the workflow last knew."""
        return round_up(max(self._state.spent_usd - self._call.known_spent_usd, Decimal(0)))

    async def _kept_stderr(self, stderr: str, inline: int) -> dict[str, Text]:
        """The field for it: the reference to all of it, or its end."""
        text: Text = stderr
        if self._texts.can_store:
            try:
                text = await self._texts.keep(stderr, min(seconds_left(), STDERR_SECONDS))
            except BlobsUnreachable as error:
                activity.logger.warning("standard error is cut: it cannot be stored: %s", error)
        if isinstance(text, TextRef):
            return {"stderr_ref": text}
        return {"stderr": text[-inline:]} if text else {}

    async def _call_result(
        self, output: ProgramOutput, answer: Text, reasons: tuple[str, ...]
    ) -> CallResult:
        """Sets only what differs from the defaults, which keeps the history small."""
        extras: dict[str, Any] = {
            "reasons": reasons,
            "remote_task": output.remote_task,
            **await self._kept_stderr(output.stderr, MAX_STDERR),
        }
        return CallResult(
            **{"answer": answer} if isinstance(answer, str) else {"answer_ref": answer},
            cost_usd=self._cost(),
            usage=self._state.usage,
            started_at=self._started_at,
            seconds=round(time.perf_counter() - self._clock, 4),
            **{name: value for name, value in extras.items() if value},
        )

    async def _raise_for_cancellation(self) -> None:
        """Raises an error that has what the scope has cost, since the SDK drops the details of a
        cancellation; or one that lets another worker continue, if this one stops. The program is
        killed by now. Otherwise returns, and the caller raises the cancellation."""
        details = activity.cancellation_details()
        if details is None or not (details.cancel_requested or details.worker_shutdown):
            return
        try:
            self._state = await self._read(self._scope(), seconds=SETTLE_SECONDS)
        except (AtxpError, ProgramError):
            activity.logger.warning("what the cancelled program has cost is in the ledger alone")
        if details.cancel_requested and self._cost():
            raise ApplicationError(
                "the program was cancelled, and killed, after calls that were paid",
                self._spend(),
                type=ErrorType.PROGRAM_FAILED.value,
                non_retryable=True,
            ) from None
        if details.worker_shutdown:
            raise ApplicationError(
                "this worker was shut down while the program ran; another one starts it again",
                self._spend(),
                type=ErrorType.UPSTREAM_UNAVAILABLE.value,
                next_retry_delay=timedelta(milliseconds=100),
            ) from None
