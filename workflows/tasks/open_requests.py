"""The requests of calls that have not ended: made, and made again by the run's next execution."""

from decimal import Decimal

from durable_agent_team.contracts.call import CallRequest
from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from durable_agent_team.contracts.team import Agent, OrchestratorAgent
from durable_agent_team.rules.catalog import model_of, price_of
from durable_agent_team.rules.programs import run_of
from workflows.state.agent_account import AgentAccount
from workflows.state.open_call import Issued, OpenCall
from workflows.state.progress import Progress
from workflows.task_exceptions import TaskFailed
from workflows.tasks.assignments import with_settings
from workflows.tasks.call_requests import AnswerRoom, Assignment, CallRequests, digest
from workflows.tasks.program_calls import ProgramCalls
from workflows.tasks.turns import Turns


class OpenRequests:
    """Makes the request of an `OpenCall`, bounded by the run's model catalog."""

    def __init__(
        self, progress: Progress, turns: Turns, programs: ProgramCalls, catalog: ModelCatalog
    ) -> None:
        self._progress = progress
        self._turns = turns
        self._programs = programs
        self.use_catalog(catalog)

    def use_catalog(self, catalog: ModelCatalog) -> None:
        """From here on, requests are bounded by these prices."""
        self._catalog = catalog
        self._requests = CallRequests(catalog)

    def price(self, request: CallRequest) -> ModelPrice | None:
        """The price of the request's model."""
        return price_of(self._catalog, request.model)

    def upstream(self, request: CallRequest) -> str | None:
        """The name of who serves the call, where the gateway says it."""
        price = self.price(request)
        return price.upstream if price is not None else None

    def bound(self, request: CallRequest) -> Decimal | None:
        """The most that it can cost, in USD; None where the model has no price."""
        return self._requests.bound(request)

    def make(
        self, current: Assignment, account: AgentAccount, call: OpenCall, model: str
    ) -> CallRequest:
        """A program's requests have the key of its scope, whatever is in them."""
        ref = self._progress.account_refs[current.agent]
        if run_of(current.caller) is not None:
            scope = self._programs.scope(current).id
            return self._requests.make(current, ref, model, call.rejected, scope=scope)
        room = AnswerRoom(call.growth, account.available_usd)
        while True:
            said = self._turns.conversation(current, call, model, self._catalog)
            try:
                return self._requests.make(
                    current, ref, model, call.rejected, room, conversation=said
                )
            except TaskFailed as failed:
                size = said.prompt_bytes if said is not None else 0
                if not self._turns.make_room(call, failed.failure, size):
                    raise TaskFailed(self._turns.without_room(call, failed.failure)) from None

    def most(
        self, assignment: Assignment, request: CallRequest, account: AgentAccount
    ) -> Decimal | None:
        """What a call can cost at most; a program's, all that its account has."""
        if run_of(assignment.caller) is not None:
            return account.available_usd
        return self.bound(request)

    def take_up(self, assignment: Assignment, call: OpenCall, account: AgentAccount) -> Assignment:
        """Makes the request again that an earlier execution of the run has made, with the settings
        of that time. Where it comes out differently, which only other code can cause, it would be
        refused under the same key: the old one counts as lost, and a new call is made."""
        issued, call.issued = call.issued, None
        if issued is None:
            return assignment
        made_with = with_settings(self._progress, assignment, issued.caller)
        ref = self._progress.account_refs[assignment.agent]
        said = self._turns.conversation(made_with, call, issued.model, self._catalog)
        request = self._requests.again(made_with, ref, issued, call.rejected, said)
        if digest(request) == issued.digest:
            call.request = request
            return made_with
        if issued.key in account.in_flight:
            account.fail(issued.key, Decimal(0), may_be_billed=True)
        return assignment

    def body_changed(self, before: Assignment, now: Assignment) -> bool:
        """Whether the agent's model, instructions or `max_tokens` have changed: that makes another
        call."""
        models = {model_of(each.caller, self._catalog) for each in (before, now)}
        limits = {each.caller.max_tokens for each in (before, now)}
        return len(models) > 1 or len(limits) > 1 or before.system != now.system

    def note_issued(self) -> None:
        """Notes of every call that was sent what the next execution needs to make its request
        again. Calls that were not sent get new requests there."""
        for call in self._progress.open_calls.values():
            request, caller = call.request, call.caller
            sent = self._progress.accounts[call.agent].charges.issued
            if request is None or request.idempotency_key not in sent:
                continue
            if isinstance(caller, Agent | OrchestratorAgent):
                call.issued = Issued(
                    key=request.idempotency_key,
                    model=request.model,
                    max_tokens=request.max_tokens,
                    caller=caller,
                    digest=digest(request),
                    known_limits=request.known_limits,
                )
