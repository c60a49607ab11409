"""The state of a run: what has happened so far. Free of Temporal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.approvals import Decided
from durable_agent_team.contracts.call import AccountRef
from durable_agent_team.contracts.control import Approve
from durable_agent_team.contracts.ledger import Ledger
from durable_agent_team.contracts.model_catalog import ModelCatalog
from durable_agent_team.contracts.program import ProgramSpend
from durable_agent_team.contracts.run import (
    Failure,
    Refusal,
    RunRequest,
    RunStatus,
    Waiting,
)
from durable_agent_team.contracts.spend import LedgerAgreement
from durable_agent_team.contracts.team import Team
from durable_agent_team.contracts.text_ref import Text, TextRef
from durable_agent_team.contracts.tool_box import ToolBox
from durable_agent_team.contracts.tool_kinds import Effects
from workflows.state.agent_account import AgentAccount
from workflows.state.call_trouble import CallTrouble
from workflows.state.conversation import ConversationState
from workflows.state.open_approval import OpenApproval
from workflows.state.open_call import OpenCall
from workflows.state.outage import Outage
from workflows.state.plan_progress import PlanProgress
from workflows.state.planning_terms import PlanningTerms
from workflows.state.program_scope import ProgramScope
from workflows.state.taken_over import TakenOver
from workflows.state.tool_work import ToolWork
from workflows.state.unpaid import UnpaidUpstream

MAX_REFUSALS = 20
MAY_PARK = frozenset(
    {RunStatus.PLANNING, RunStatus.WORKING, RunStatus.REVIEWING, RunStatus.FINISHING}
)
"""In which calls are made, so that one of them may park."""

BEFORE_WORK = frozenset({RunStatus.STARTING, RunStatus.PLANNING, RunStatus.APPROVAL})


@dataclass
class Progress:
    """The whole state of a run. Its parts report changes with `changed`, for the publisher."""

    workflow_id: str
    started_at: datetime
    request: RunRequest | None = None
    execution: int = 1
    """How many executions of the workflow the run has had, with this one: it continues as new."""
    status: RunStatus = RunStatus.STARTING
    paused: bool = False
    cancel_reason: str | None = None
    stopping: bool = False
    """No new call starts."""
    failure: Failure | None = None
    answer: str | None = None
    answer_parts: tuple[Text, ...] = ()
    """Where one of them is a reference: the texts that the answer consists of, an empty line
    between them; `answer` is how it begins."""
    accounts: dict[str, AgentAccount] = field(default_factory=dict)
    account_refs: dict[str, AccountRef] = field(default_factory=dict)
    """By agent, once the accounts are open."""
    capabilities: Capabilities = field(default_factory=Capabilities)
    catalog: ModelCatalog = field(default_factory=ModelCatalog)
    deadline: datetime | None = None
    """The time after which no new call starts."""
    tasks: PlanProgress = field(default_factory=PlanProgress)
    open_calls: dict[str, OpenCall] = field(default_factory=dict)
    """By the task, or the orchestrator's step, that they work for."""
    scopes: dict[str, ProgramScope] = field(default_factory=dict)
    """The work of programs that is not done, by task."""
    tool_boxes: dict[str, ToolBox] = field(default_factory=dict)
    """The tools of each agent that has some, once they were listed."""
    conversations: dict[str, ConversationState] = field(default_factory=dict)
    """Conversations of agents with tools, by the task that they have not answered yet."""
    tool_work: dict[str, ToolWork] = field(default_factory=dict)
    """What the tools of conversations have done, by the conversation's id."""
    tainted_tasks: set[str] = field(default_factory=set)
    """The tasks whose hand-offs may hold something from outside."""
    tainted_asks: set[str] = field(default_factory=set)
    """The tasks that a review added after it had read such a hand-off."""
    tools_in_flight: Annotated[dict[str, Effects], Field(exclude=True)] = field(
        default_factory=dict
    )
    """Calls of tools by their keys: a task that is done again has calls of the same names. The next
    execution makes them again; but while a call is in flight whose effect must happen once, there
    is none."""
    slow_tools: set[str] = field(default_factory=set)
    """Sources of tools that take too long for a local activity."""
    planning: PlanningTerms = field(default_factory=PlanningTerms)
    """The terms of the plan, or of the last review."""
    reviews: int = 0
    """How often the orchestrator has revised the plan, also in the run that this one continues."""
    taken_over: TakenOver | None = None
    """None in a run that does not continue another."""
    waiting: dict[str, Waiting] = field(default_factory=dict)
    notified: set[str] = field(default_factory=set)
    """The subjects whose notification was sent, or has failed for good."""
    approvals: dict[str, OpenApproval] = field(default_factory=dict)
    """What waits for a person's approval, by its subject in `waiting`."""
    decided: list[Decided] = field(default_factory=list)
    """What people have decided, the last of it."""
    for_approval: str | None = None
    """The subject of the plan, while it waits for approval."""
    approval: Approve | None = None
    """The answer about the plan, until the run has used it."""
    troubled: dict[str, CallTrouble] = field(default_factory=dict)
    """Calls that have failed and are attempted again, by the task or step they belong to."""
    outages: dict[str, Outage] = field(default_factory=dict)
    """What they wait for, by model."""
    unpaid: dict[str, UnpaidUpstream] = field(default_factory=dict)
    """Upstreams that the operator has to pay, by name; empty where the endpoint names none."""
    refusals: list[Refusal] = field(default_factory=list)
    ledger_usd: Decimal | None = None
    ledger_agrees: LedgerAgreement = LedgerAgreement.OPEN
    call_seconds: float = 0
    unpublished: bool = False
    """Something that is shown has changed since the run was last published."""

    def changed(self) -> None:
        """Something that is shown has changed."""
        self.unpublished = True

    def become(self, status: RunStatus) -> None:
        self.status = status
        self.changed()

    @property
    def team(self) -> Team:
        """With the settings as they are now. The run has a valid start input."""
        assert self.request is not None
        return self.request.team

    def change_team(self, **changes: Any) -> None:
        """Changes settings from here on; those that the run was started with are in its history."""
        assert self.request is not None
        team = self.request.team.model_copy(update=changes)
        self.request = self.request.model_copy(update={"team": team})

    @property
    def goal(self) -> str:
        return self.request.effective_goal if self.request else ""

    @property
    def team_name(self) -> str:
        return self.request.team.name if self.request else ""

    @property
    def sources(self) -> Mapping[str, Text]:
        """The documents that came with the request, by name."""
        return self.request.texts if self.request else {}

    @property
    def status_now(self) -> RunStatus:
        """The status that is shown: a run is parked when all that is left to do, including the
        orchestrator's own calls, waits for a person. A call that is attempted again does not."""
        busy = self.troubled or self.has_calls_in_flight or self.tools_in_flight
        if self.status in MAY_PARK and self.waiting and not busy:
            return RunStatus.PARKED
        return self.status

    @property
    def has_calls_in_flight(self) -> bool:
        return any(account.in_flight for account in self.accounts.values())

    @property
    def calls_in_flight(self) -> int:
        return sum(len(account.in_flight) for account in self.accounts.values())

    @property
    def open_keys(self) -> set[str]:
        """The idempotency keys of all calls that have not ended, in flight or not, and the scopes
        of programs that may run again."""
        keys = {key for call in self.open_calls.values() if (key := call.key)}
        tools = {key for work in self.tool_work.values() for key in work.open_keys}
        return keys | tools | {scope.id for scope in self.scopes.values()}

    @property
    def has_programs_in_flight(self) -> bool:
        """Or whose environments are being prepared: what runs would begin again."""
        return any(
            scope.preparing or scope.id in self.accounts[scope.agent].in_flight
            for scope in self.scopes.values()
        )

    @property
    def programs_in_flight(self) -> int:
        """How many programs run."""
        return sum(
            scope.id in self.accounts[scope.agent].in_flight for scope in self.scopes.values()
        )

    def show_program(self, spend: ProgramSpend) -> None:
        """What a program has cost so far. One that has ended since, or was done again, is not
        found, or is not in flight. More than its account can hold is nobody's cost."""
        for scope in self.scopes.values():
            account = self.accounts[scope.agent]
            if scope.id == spend.scope and spend.spent_usd <= account.budget_usd:
                account.show_program(scope.id, spend.spent_usd, spend.usage)
                self.changed()

    @property
    def has_effects_in_flight(self) -> bool:
        """A tool is running that must not run again."""
        return Effects.ONCE in self.tools_in_flight.values()

    @property
    def spent_usd(self) -> Decimal:
        return sum((account.spent_usd for account in self.accounts.values()), Decimal(0))

    @property
    def reused_usd(self) -> Decimal | None:
        """What it cost elsewhere that the run has taken over; None where that is nothing."""
        if self.taken_over is None:
            return None
        tasks = (each.cost_usd for each in self.tasks.reused.values())
        return self.taken_over.reused_usd + sum(tasks, Decimal(0))

    def spent_by_task(self) -> dict[str, Decimal]:
        """What the calls of each task have cost, in USD. Only tasks that have cost something."""
        spent: dict[str, Decimal] = {}
        for account in self.accounts.values():
            for task_id, amount in account.charges.by_task.items():
                spent[task_id] = spent.get(task_id, Decimal(0)) + amount
        return spent

    def compare_ledgers(self, ledgers: Sequence[Ledger]) -> None:
        """Adds charges that only the ledgers know, and records whether they agree with the run."""
        for ledger in ledgers:
            self.accounts[ledger.agent].read_back(ledger)
        self.ledger_usd = sum((each.spent_usd for each in ledgers), Decimal(0))
        agrees = all(self.accounts[each.agent].agrees_with(each) for each in ledgers)
        self.ledger_agrees = LedgerAgreement.YES if agrees else LedgerAgreement.NO

    @property
    def tasks_done(self) -> int:
        return len(self.tasks.handoffs)

    def stop(self, reason: str) -> None:
        """No new call starts. The first reason is kept."""
        self.stop_starting()
        if self.cancel_reason is None and not is_terminal(self.status):
            self.cancel_reason = reason

    def stop_starting(self) -> None:
        """No new call starts, without a reason that cancels the run."""
        self.stopping = True

    def give_answer(self, shown: str, parts: tuple[Text, ...]) -> None:
        """`shown` is the answer, or how it begins where it consists of references."""
        self.answer = shown
        if any(isinstance(part, TextRef) for part in parts):
            self.answer_parts = parts

    def ending(self) -> RunStatus:
        """The status in which the run ends if it ends now."""
        if self.failure is not None:
            return RunStatus.FAILED
        return RunStatus.COMPLETED if self.answer is not None else RunStatus.CANCELLED

    def wait_for_person(self, waiting: Waiting) -> None:
        """Shows what waits for a person, with the command that answers it."""
        self.waiting[waiting.subject] = waiting

    def park(self, waiting: Waiting) -> None:
        """A call that does not continue without a person."""
        self.wait_for_person(waiting)
        self.tasks.parked(waiting.subject)
        for outage in self.outages.values():
            outage.leave(waiting.subject)  # another call can try in the meantime

    def unpark(self, subject: str) -> None:
        """The call continues, or has given up."""
        self.waiting.pop(subject, None)
        self.notified.discard(subject)
        self.tasks.unparked(subject)

    def refuse(self, at: datetime, message: str, problem: str) -> None:
        """Records a message that could not be carried out; the last ones are kept."""
        self.refusals.append(Refusal(at=at, message=message[:100], problem=problem[:1000]))
        del self.refusals[:-MAX_REFUSALS]


def is_terminal(status: RunStatus) -> bool:
    return status in {RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.FAILED}
