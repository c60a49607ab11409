"""Continues a run as a new execution of the workflow, before its history gets too long.

A long history is slow to replay, and Temporal ends a run at 51,200 events. The next execution takes
everything over, and takes up the calls that are in flight (docs/adr/030).
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from temporalio import workflow

from durable_agent_team.contracts.names import STARTED_MEMO
from durable_agent_team.contracts.run import RunStatus
from durable_agent_team.contracts.run_snapshot import RunSnapshot
from workflows.start_memo import start_memo
from workflows.state.progress import Progress
from workflows.state.snapshot import UnreadableSnapshot, progress_of, snapshot_of
from workflows.timed_wait import wait_condition

MAX_EVENTS: Final = 2_000
"""Events of one execution, which replays in less than a second."""
PROGRAMS_PATIENCE: Final = 5
"""Times `MAX_EVENTS`: so long a run stays in one execution while a program runs. In the next one
the program would start again: what it has paid is replayed to it, but its tools run again. So long
it also starts other calls while a tool runs whose effect must happen once; after that, it waits for
the tool."""
MORE_EVENTS: Final = 1_000
"""After which a state that was too large, or could not be read, is tried again."""
MAX_STATE: Final = 1_900_000
"""Characters of a snapshot: Temporal takes 2 MB."""
EVENTS_MEMO: Final = "continue_as_new_events"
"""The memo with which a test starts a run that continues earlier than after `MAX_EVENTS`."""
PATCH: Final = "continue-as-new"
"""Runs that had a longer history before this patch stay in one execution."""

MANY: Final = 8
"""Calls in flight of which one is likely to end while the workflow task that continues as new is
processed. The server then rejects it, and the whole history is replayed."""
DRAIN_SECONDS: Final = 2.0
"""The longest that many calls are waited for, while no other starts. Those that take longer end so
rarely that they are taken up."""
DRAINS: Final = "drain-before-continue-as-new"
"""Runs that were about to continue as new before this patch did not wait."""

TAKEN_UP: Final = frozenset(
    {
        RunStatus.PLANNING,
        RunStatus.APPROVAL,
        RunStatus.WORKING,
        RunStatus.REVIEWING,
        RunStatus.FINISHING,
    }
)
"""The statuses in which a run may continue as new: its accounts are open, and not being closed."""


class Continuation:
    """Decides when the run continues as new."""

    def __init__(self, progress: Progress, is_quiet: Callable[[], bool]) -> None:
        """`is_quiet`: nothing is under way besides paid calls and waiting."""
        self._progress = progress
        self._is_quiet = is_quiet
        self._events = _max_events()
        self._least = workflow.info().get_current_history_length()

    @property
    def is_due(self) -> bool:
        """The history is long, and the run does not end anyway. Never in the first workflow task of
        an execution, which would continue as new forever."""
        info, progress = workflow.info(), self._progress
        length = info.get_current_history_length()
        if length <= self._least or progress.stopping or progress.status not in TAKEN_UP:
            return False
        if info.is_continue_as_new_suggested():
            return True
        if length < self._events:
            return False
        is_patient = progress.has_programs_in_flight or progress.has_effects_in_flight
        return not is_patient or length >= self._events * PROGRAMS_PATIENCE

    @property
    def is_ready(self) -> bool:
        """Everything that the run knows is in its state. Calls may be in flight where the provider
        answers them again."""
        progress = self._progress
        return (
            self.is_due
            and workflow.all_handlers_finished()
            and self._is_quiet()
            and (progress.capabilities.replay or not progress.has_calls_in_flight)
        )

    async def due(self) -> bool:
        """Waits until it is due. False in a run that stays in one execution."""
        await workflow.wait_condition(lambda: self.is_due)
        return workflow.patched(PATCH)

    async def ready(self) -> None:
        """Waits until it is ready, or not due any more."""
        if self._progress.calls_in_flight > MANY and workflow.patched(DRAINS):
            with suppress(TimeoutError):
                await wait_condition(
                    lambda: not self._progress.has_calls_in_flight or not self.is_due,
                    timeout=timedelta(seconds=DRAIN_SECONDS),
                    timeout_summary="before it continues as new",
                )
        await workflow.wait_condition(lambda: self.is_ready or not self.is_due)

    def snapshot(self) -> RunSnapshot | None:
        """What the next execution starts with; None where that is too large, or cannot be read.
        Then the run stays in this one, and tries again later."""
        for account in self._progress.accounts.values():
            account.continue_with(self._progress.open_keys)
        snapshot = snapshot_of(self._progress)
        if len(snapshot.state) > MAX_STATE:
            size = len(snapshot.state)
            workflow.logger.warning("the state is too large to continue as new: %s bytes", size)
            self.postpone(events=MORE_EVENTS)
            return None
        try:
            progress_of(snapshot)
        except UnreadableSnapshot as error:
            # A mistake of ours, for which the next execution would fail its workflow task forever.
            workflow.logger.error("the state cannot be read, so it is not handed on: %s", error)
            self.postpone(events=MORE_EVENTS)
            return None
        return snapshot

    def postpone(self, events: int) -> None:
        """Stays in this execution until its history has this many more events."""
        self._least = workflow.info().get_current_history_length() + events - 1

    def continue_as_new(self, snapshot: RunSnapshot) -> None:
        """Ends this execution: raises ContinueAsNewError."""
        memo = {**start_memo(), STARTED_MEMO: self._progress.started_at.isoformat()}
        workflow.continue_as_new(snapshot, memo=memo)


def _max_events() -> int:
    given = start_memo().get(EVENTS_MEMO)
    return given if isinstance(given, int) and given > 0 else MAX_EVENTS
