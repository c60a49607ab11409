"""Gets a checked answer for an assignment: each call is paid for, and a bad answer repaired."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from durable_agent_team.contracts.call import MAX_REASONS
from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.run import Failure
from durable_agent_team.contracts.team import OnFailure
from durable_agent_team.contracts.text_ref import Text
from workflows.activity_executor import ActivityExecutor
from workflows.money.run_accounts import RunAccounts
from workflows.people.approval import Approval
from workflows.people.parking import Parking
from workflows.state.charges import Use
from workflows.state.open_call import OpenCall
from workflows.state.progress import Progress
from workflows.task_exceptions import TaskFailed, TaskSkipped
from workflows.tasks.assignments import with_current_settings
from workflows.tasks.call_attempts import CallAttempts
from workflows.tasks.call_requests import Assignment
from workflows.tasks.call_words import check_failed, model_refused, rejected_answer
from workflows.tasks.gate import Gate
from workflows.tasks.open_requests import OpenRequests
from workflows.tasks.outages import Outages
from workflows.tasks.paid_call import PaidCalls
from workflows.tasks.program_calls import ProgramCalls
from workflows.tasks.task_approvals import TaskApprovals
from workflows.tasks.tool_boxes import ToolBoxes
from workflows.tasks.troubled_calls import TroubledCalls
from workflows.tasks.turns import Turns, has_tools
from workflows.tools.tool_calls import ToolCalls

CheckedByWorkflow = Callable[[str], Awaitable[Sequence[str]]]
"""What is wrong with an answer that the workflow itself reads."""


class CheckedAnswers:
    """The answers of a run's agents. `gate` says when a call may start, `outages` when one that
    failed is attempted again."""

    def __init__(
        self,
        progress: Progress,
        activities: ActivityExecutor,
        accounts: RunAccounts,
        parking: Parking,
        approval: Approval,
        catalog: ModelCatalog,
    ) -> None:
        self._progress = progress
        self._accounts = accounts
        self._parking = parking
        self.activities = activities
        self.gate = gate = Gate(progress, parking)
        self.outages = outages = Outages(progress)
        boxes = ToolBoxes(progress, activities, parking)
        tool_calls = ToolCalls(progress, activities, parking, approval, gate)
        self._turns = turns = Turns(progress, activities, boxes, tool_calls)
        self._programs = programs = ProgramCalls(progress, activities, accounts)
        self._requests = requests = OpenRequests(progress, turns, programs, catalog)
        self._approvals = approvals = TaskApprovals(progress, approval, gate)
        troubled = TroubledCalls(progress, outages)
        attempts = CallAttempts(
            progress, accounts, parking, gate, requests, turns, programs, outages, troubled
        )
        self._calls = PaidCalls(
            progress, parking, gate, approvals, requests, turns, attempts, outages, troubled
        )
        self.is_checking = False
        """An answer of the orchestrator's is being checked, which makes one call at a time."""

    def use_catalog(self, catalog: ModelCatalog) -> None:
        """From here on, requests are bounded by these prices."""
        self._requests.use_catalog(catalog)

    def prepare_to_continue(self) -> None:
        """Before the run continues as new."""
        self._requests.note_issued()

    async def answer(
        self, assignment: Assignment, problems: CheckedByWorkflow | None = None
    ) -> Text:
        """A checked answer. One that fails its checks is sent back with the reasons, as a new call.

        `problems` is a check by the workflow itself, of an answer that travels as its text (plans
        and reviews do). After the last repair, the agent's `on_failed_check` decides. Raises
        TaskFailed or TaskSkipped.
        """
        open_calls, subject = self._progress.open_calls, assignment.subject
        call = open_calls.setdefault(subject, OpenCall(assignment.agent))
        try:
            await self._approvals.before(assignment, call)
            return await self._checked(assignment, call, problems)
        except (TaskFailed, TaskSkipped) as ended:
            self._turns.broke_off(assignment, call, ended.failure.type)
            raise
        finally:
            if open_calls.get(subject) is call:  # else the task is done again
                del open_calls[subject]

    async def inline_answer(self, assignment: Assignment, problems: CheckedByWorkflow) -> str:
        """The text of a plan or a review, which the workflow reads itself."""
        answer = await self.answer(assignment, problems)
        assert isinstance(answer, str)
        return answer

    async def _checked(
        self,
        assignment: Assignment,
        call: OpenCall,
        problems: CheckedByWorkflow | None,
    ) -> Text:
        account = self._progress.accounts[assignment.agent]
        while True:
            if call.checked is not None and await self._may_be_handed_on(assignment, call):
                self._turns.end(assignment, call)
                return call.checked
            await self._get_ready(assignment, call)
            request, result = await self._calls.make(assignment, call)
            reasons = result.reasons
            if problems is not None and not reasons:
                self.is_checking = True
                try:
                    reasons = tuple(await problems(result.answer))
                except asyncio.CancelledError:  # it was paid, and is not used
                    account.settle(request.idempotency_key, result, Use.FAILED)
                    raise
                finally:
                    self.is_checking = False
            good = Use.USEFUL if call.number == 1 else Use.REPAIR
            if not reasons:
                self._programs.done(assignment.subject, request.idempotency_key)
            account.settle(request.idempotency_key, result, Use.FAILED if reasons else good)
            self._progress.call_seconds += result.seconds
            self._turns.took(call, request, result)
            if account.is_unexplained:
                await self._accounts.read_back(assignment.agent)
            if result.turn is not None:
                continue
            if not reasons:
                call.checked = result.text
                continue
            if result.refusal:  # asked again, it would be paid again
                await self._checks_failed(assignment, call, model_refused(result.refusal))
            elif call.number > self._progress.team.max_repairs:
                await self._checks_failed(assignment, call, check_failed(call.number, reasons))
            else:
                rejected = rejected_answer(result, reasons[:MAX_REASONS])
                self._turns.reject(assignment, call, rejected)

    async def _may_be_handed_on(self, assignment: Assignment, call: OpenCall) -> bool:
        """False where a person has sent the answer back to its agent."""
        assert call.checked is not None
        rejected = await self._approvals.after(assignment, call.checked)
        if rejected is None:
            return True
        call.checked = None
        self._turns.reject(assignment, call, rejected)
        call.number = min(call.number, 2)  # its repairs are counted from the start
        return False

    async def _get_ready(self, assignment: Assignment, call: OpenCall) -> None:
        """What an agent with tools does before a turn, without a place of `max_parallel`."""
        if has_tools(assignment):
            self.gate.leave(assignment.subject)
            await self._turns.get_ready(assignment, call)
            while failure := self._turns.cannot_answer(assignment, call):
                await self._checks_failed(assignment, call, failure)
                await self._turns.get_ready(assignment, call)

    async def _checks_failed(
        self, assignment: Assignment, call: OpenCall, failure: Failure
    ) -> None:
        """After the last repair, or a refusal: parks, and returns when the call is to start over;
        or raises TaskFailed."""
        self._turns.end(assignment, call, failure.type)
        caller = with_current_settings(self._progress, assignment).caller
        if caller.on_failed_check is OnFailure.FAIL or self._progress.stopping:
            raise TaskFailed(failure)
        call.start_over()
        account = self._progress.accounts[assignment.agent]
        await self._parking.park(assignment.subject, caller, account, failure)
