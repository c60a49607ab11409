"""The paid calls of a run's history, each with what it has cost.

A history can have a call several times under one key: the next execution of the run makes it again,
or a later activity does. The functions here count its cost once, as the run did. Pure.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from durable_agent_team.client.attempts import ONE_ATTEMPT, Attempts
from durable_agent_team.client.recorded_activities import CANCELLED
from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.program import ProgramCall
from durable_agent_team.contracts.text_ref import Text

INTERRUPTED = "cut off by the run's end"
"""Shown of a call that was in flight when its run was terminated."""


CallKey = tuple[str, str]
"""An agent, and an idempotency key."""


@dataclass(frozen=True)
class RecordedCall:
    """One call. Without a result it is in flight, or ended as `failure` says."""

    request: CallRequest
    result: CallResult | None
    failure: str | None
    failed_usd: Decimal
    """What the attempts of a call that failed are known to have cost."""
    scheduled_at: datetime
    ended_at: datetime | None
    read_back_usd: Decimal = Decimal(0)
    """What the run found in the ledger for it, beyond what its attempts reported."""
    activity_id: str = ""
    attempts: Attempts = ONE_ATTEMPT
    program: ProgramCall | None = None
    """For an agent that is a program: this execution of it, which made calls of its own."""
    stderr: Text = ""
    """The program's standard error, also where it failed; itself, or the reference to it."""

    @property
    def cost_usd(self) -> Decimal | None:
        """Everything that the call is known to have cost; None while it is in flight."""
        if self.result is not None:
            reported = self.result.cost_usd + self.result.failed_attempts_usd
            return reported + self.read_back_usd
        return self.failed_usd + self.read_back_usd if self.failure is not None else None

    @property
    def key(self) -> CallKey:
        """Its key in the ledgers: the agent and the idempotency key, which for a program is its
        scope."""
        return self.request.account.agent, self.request.idempotency_key


def across_executions(
    executions: list[list[RecordedCall]], ends: list[datetime]
) -> list[RecordedCall]:
    """The calls of all executions of a run; `ends` has the time at which each execution ended.

    A call that was in flight when its execution ended is made again by the next one, under its key.
    Both are one call, which began when it was first sent. The same holds where a result arrived at
    the moment in which the run continued as new, so that the run did not see it: a run that has
    taken a result does not use its key again. Programs are the exception: their key is their scope.
    """
    taken_up: dict[CallKey, RecordedCall] = {}
    calls: list[RecordedCall] = []
    for number, execution in enumerate(executions):
        left, taken_up = taken_up, {}
        is_last = number == len(executions) - 1
        later = set() if is_last else {call.key for call in executions[number + 1]}
        for call in execution:
            if before := left.pop(call.key, None):
                call = replace(call, scheduled_at=before.scheduled_at)
            has_untaken = call.result is not None and call.program is None and call.key in later
            if not is_last and (call.ended_at is None or has_untaken):
                taken_up[call.key] = call
            else:
                calls.append(call)
        calls += [
            replace(call, failure=CANCELLED, ended_at=ends[number - 1]) for call in left.values()
        ]
    return calls


def charged_once(calls: list[RecordedCall]) -> list[RecordedCall]:
    """Moves the charge of a replayed answer from failed calls that reported it to the answer.

    The gateway charged the answer when it was made; the replay reports the same charge again.
    """
    found: list[RecordedCall] = []
    failed: dict[CallKey, list[int]] = {}
    for number, call in enumerate(calls):
        found.append(call)
        if call.program is not None:
            continue
        if call.failed_usd:
            failed.setdefault(call.key, []).append(number)
        elif call.result is not None and call.result.replayed:
            left = call.result.cost_usd
            for earlier in failed.pop(call.key, ()):
                before = found[earlier]
                taken = min(left, before.failed_usd)
                found[earlier] = replace(before, failed_usd=before.failed_usd - taken)
                left -= taken
    return found


def with_known_spend(calls: list[RecordedCall]) -> list[RecordedCall]:
    """Adds what programs that failed had cost, as the run knew it when it started the next
    execution in their scope: an execution that was killed reports nothing itself."""
    found = list(calls)
    latest: dict[CallKey, int] = {}
    for number, call in enumerate(calls):
        if call.program is None:
            continue
        before = latest.get(call.key)
        if before is not None and (earlier := found[before]).failure is not None:
            assert earlier.program is not None
            cost = call.program.known_spent_usd - earlier.program.known_spent_usd
            found[before] = replace(earlier, failed_usd=max(earlier.failed_usd, cost))
        latest[call.key] = number
    return found


def with_read_back(
    calls: list[RecordedCall], in_ledgers: dict[CallKey, Decimal]
) -> tuple[RecordedCall, ...]:
    """Adds what the ledgers have beyond the reported cost. A repeated call has several entries in
    the history and one line in the ledger, under the same key: its last entry gets the rest."""
    reported: dict[CallKey, Decimal] = {}
    last: dict[CallKey, int] = {}
    for number, call in enumerate(calls):
        reported[call.key] = reported.get(call.key, Decimal(0)) + (call.cost_usd or Decimal(0))
        last[call.key] = number
    for key, number in last.items():
        missing = in_ledgers.get(key, Decimal(0)) - reported[key]
        if missing > 0 and calls[number].ended_at is not None:
            calls[number] = replace(calls[number], read_back_usd=missing)
    return tuple(calls)
