"""Typed activity interfaces: workflows call these, `activities/` implements them."""

from temporalio import activity

from durable_agent_team.contracts.accounts import (
    BudgetTransfer,
    CloseAccounts,
    ClosedAccounts,
    OpenAccounts,
    OpenedAccounts,
    SetBudget,
)
from durable_agent_team.contracts.arguments_check import ArgumentsCheck, ArgumentsVerdict
from durable_agent_team.contracts.call import CallRequest, CallResult
from durable_agent_team.contracts.ledger import Ledger
from durable_agent_team.contracts.model_catalog import ModelCatalog, ReadModels
from durable_agent_team.contracts.notification import Notification
from durable_agent_team.contracts.output_check import OutputCheck, OutputVerdict
from durable_agent_team.contracts.program import EnvironmentOrder, EnvironmentReady, ProgramCall
from durable_agent_team.contracts.tool_box import ToolBox
from durable_agent_team.contracts.tool_call import (
    ChargeEnd,
    ChargeEnded,
    ListTools,
    ToolOrder,
    ToolResult,
)


class AccountActivities:
    """Opens, changes, reads and closes ATXP accounts. Each activity may be repeated."""

    @activity.defn
    async def read_models(self, wanted: ReadModels) -> ModelCatalog:
        """Prices and context windows, and the default model of the worker's settings. Of a long
        list only the models that are wanted."""
        raise NotImplementedError

    @activity.defn
    async def open_accounts(self, order: OpenAccounts) -> OpenedAccounts:
        """One account for each agent, in the given order. The same run key: the same accounts."""
        raise NotImplementedError

    @activity.defn
    async def set_budget(self, order: SetBudget) -> Ledger:
        """A new limit. Refused below what is spent or reserved."""
        raise NotImplementedError

    @activity.defn
    async def transfer(self, order: BudgetTransfer) -> ClosedAccounts:
        """Moves unspent money between two accounts: both or neither. The two, source first."""
        raise NotImplementedError

    @activity.defn
    async def read_ledgers(self, order: CloseAccounts) -> ClosedAccounts:
        """The ledgers as they are, without closing anything."""
        raise NotImplementedError

    @activity.defn
    async def close_accounts(self, order: CloseAccounts) -> ClosedAccounts:
        """Disables the accounts, waits until nothing is reserved, reads the ledgers back."""
        raise NotImplementedError


class AgentActivities:
    """Paid calls to models."""

    @activity.defn
    async def call_agent(self, call: CallRequest) -> CallResult:
        """One paid call, its answer checked. A failed check is a result, not an error."""
        raise NotImplementedError

    @activity.defn
    async def check_output(self, check: OutputCheck) -> OutputVerdict:
        """Whether a task's `output` is a JSON Schema: takes too long for a workflow task."""
        raise NotImplementedError

    @activity.defn
    async def check_arguments(self, check: ArgumentsCheck) -> ArgumentsVerdict:
        """Whether arguments that a person wrote fit the tool's schema."""
        raise NotImplementedError


class ProgramActivities:
    """Agents that are programs."""

    @activity.defn
    async def prepare_environment(self, order: EnvironmentOrder) -> EnvironmentReady:
        """Makes the environment, or finds it made. Heartbeats say how far it is."""
        raise NotImplementedError

    @activity.defn
    async def run_program(self, call: ProgramCall) -> CallResult:
        """One execution of the program, its answer checked. A failed check is a result, not an
        error. Every error carries an `AttemptSpend`: `spent_usd` is what the scope has cost since
        `known_spent_usd`."""
        raise NotImplementedError


class ToolActivities:
    """Tools of agents."""

    @activity.defn
    async def list_tools(self, wanted: ListTools) -> ToolBox:
        """What an agent's servers, functions and built-in tools are. May be repeated."""
        raise NotImplementedError

    @activity.defn
    async def call_tool(self, order: ToolOrder) -> ToolResult:
        """One call. What the tool itself reports as an error is a result. Every error of the
        activity carries a `ToolFailure`, which says whether the tool may have run.

        Before a tool with `effects: once` is called, the activity makes the heartbeat
        `["sent"]` through the server, and waits for its answer: an attempt that the server has
        given up sends nothing.
        """
        raise NotImplementedError

    @activity.defn
    async def end_charge(self, end: ChargeEnd) -> ChargeEnded:
        """Settles or releases the price of a call that a person has decided about. May be
        repeated."""
        raise NotImplementedError


class NotificationActivities:
    """Notifies people that a run waits for them, or has ended."""

    @activity.defn
    async def notify(self, notification: Notification) -> None:
        """One POST of the notification as JSON; any 2xx is a success."""
        raise NotImplementedError
