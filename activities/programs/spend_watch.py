"""Follows what a program costs while it runs, and signals it to the run, so that `spend` shows it.

Each signal costs the run's history four or five events. So one is sent only when the cost has
changed, and the pauses between two grow with the time that the program has been running.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Final

from temporalio import activity
from temporalio.service import RPCError, RPCStatusCode

from activities.programs.exceptions import ProgramError
from activities.programs.scope_account import ScopeState
from durable_agent_team.atxp.exceptions import AtxpError
from durable_agent_team.contracts.program import SPEND_SIGNAL, ProgramCall, ProgramSpend

FIRST_SECONDS: Final = 1.0
"""Before the first look: a program that is done by then needs none."""
EVERY_SECONDS: Final = 2.0
"""The least time from one request to the next. A gateway without long polls answers at once."""
WAIT_SECONDS: Final = 20.0
"""How long a look may wait at the gateway; at most 30."""
SIGNAL_TIMEOUT: Final = timedelta(seconds=5)

SHARE_OF_TIME: Final = 20
MOST_PAUSES: Final = 15

Read = Callable[[Decimal, float], Awaitable[ScopeState]]
"""Reads the scope as soon as it has cost another amount than this, or after so many seconds."""


def pause(shortest: float, elapsed: float) -> float:
    """Seconds between two signals of a program that has been running for `elapsed` seconds. With
    the usual 2 s as the shortest it is a tenth of that time, and at most half a minute: 10 signals
    in the first 20 s, some 40 in five minutes, and 120 in each hour after that.

    >>> [pause(2, elapsed) for elapsed in (0, 20, 60, 3_600)]
    [2.0, 2.0, 6.0, 30.0]
    """
    return shortest * min(max(elapsed / SHARE_OF_TIME, 1.0), MOST_PAUSES)


class SpendWatch:
    """Follows one execution of a program."""

    def __init__(self, call: ProgramCall, read: Read, show: Callable[[ScopeState], None]) -> None:
        """`show` gets every state that was read."""
        self._scope, self._shortest = call.scope, call.signal_seconds
        self._read, self._show = read, show
        self._told = call.known_spent_usd
        self._began = time.monotonic()
        self._due = self._began

    async def follow(self, state: ScopeState) -> None:
        """Never returns. `state` is what was read last."""
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            asked = time.monotonic()
            try:
                state = await self._read(state.spent_usd, self._patience(state))
                self._show(state)
                await self._tell(state)
            except (AtxpError, ProgramError):  # it is read again
                pass
            await asyncio.sleep(max(asked + EVERY_SECONDS - time.monotonic(), 0))

    def _patience(self, state: ScopeState) -> float:
        """Seconds to wait at the gateway: fewer if a known cost was not signalled yet."""
        if self._shortest is None or state.spent_usd == self._told:
            return WAIT_SECONDS
        return min(max(self._due - time.monotonic(), 0), WAIT_SECONDS)

    async def _tell(self, state: ScopeState) -> None:
        """Signals the cost if it has changed and a signal is due. If Temporal does not answer, the
        next read tries again."""
        now = time.monotonic()
        if self._shortest is None or state.spent_usd == self._told or now < self._due:
            return
        spend = ProgramSpend(scope=self._scope, spent_usd=state.spent_usd, usage=state.usage)
        info = activity.info()
        assert info.workflow_id is not None
        run = activity.client().get_workflow_handle(info.workflow_id, run_id=info.workflow_run_id)
        try:
            await run.signal(SPEND_SIGNAL, spend, rpc_timeout=SIGNAL_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:  # this execution of the run has ended
                self._shortest = None
            return
        self._told, self._due = state.spent_usd, now + pause(self._shortest, now - self._began)
