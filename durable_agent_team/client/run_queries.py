"""What a run answers while a worker serves it: spend, state, and what waits for approval."""

from pydantic import ValidationError
from temporalio.client import WorkflowExecutionDescription, WorkflowQueryRejectedError
from temporalio.common import QueryRejectCondition
from temporalio.service import RPCError

from durable_agent_team.blobs.texts import PATIENCE_SECONDS
from durable_agent_team.client.exceptions import NoWorker, UpdateRefused, is_silence, translated
from durable_agent_team.client.run_control import (
    CALL_TIMEOUT,
    Answer,
    RunControl,
)
from durable_agent_team.client.run_texts import texts_of
from durable_agent_team.client.terminated_runs import TERMINATED_STATUSES, QueryAnswer, as_ended
from durable_agent_team.contracts.approvals import (
    ApprovalsPage,
    ApprovalsQuery,
    PendingApproval,
)
from durable_agent_team.contracts.base import Message
from durable_agent_team.contracts.control import SpendQuery, StateQuery
from durable_agent_team.contracts.conversation_view import (
    ConversationPage,
    ConversationQuery,
    TurnView,
)
from durable_agent_team.contracts.run import TASKS_PER_PAGE, RunState
from durable_agent_team.contracts.spend import AGENTS_PER_PAGE, SpendReport, Totals
from durable_agent_team.contracts.text_ref import TextRef

_ENDED_WELL = QueryRejectCondition.NOT_COMPLETED_CLEANLY
"""Saves a second call with each query: only for an ended run is the status needed, too."""


class RunQueries(RunControl):
    """The methods of a handle that ask a run. All raise `NoWorker`: after five seconds, and
    after twenty more where a worker lives and is busy."""

    async def spend(self) -> SpendReport:
        """What each agent has spent, and all of them. Raises `NoWorker`.

        Above `AGENTS_PER_PAGE` agents it takes several queries, so that while the run works an
        agent's figures may be of a later moment than another's. The totals are their sums.
        """
        first = await self.spend_page()
        if first.agents_total is None:
            return first
        agents = list(first.agents)
        for page in range(2, -(-first.agents_total // AGENTS_PER_PAGE) + 1):
            agents += (await self.spend_page(page)).agents
        whole = first.model_dump(exclude_unset=True, exclude={"page", "agents_total"})
        return SpendReport.model_validate({**whole, "agents": agents, "total": Totals.of(agents)})

    async def spend_page(self, page: int = 1) -> SpendReport:
        """The totals, and `AGENTS_PER_PAGE` agents. Raises `NoWorker`."""
        return await self._answer("spend", SpendReport, SpendQuery(page=page))

    async def state(self, page: int = 1) -> RunState:
        """Status and tasks, `TASKS_PER_PAGE` a page. Raises `NoWorker`."""
        return await self._answer("state", RunState, StateQuery(page=page))

    async def whole_state(self) -> RunState:
        """The state with the tasks of all pages."""
        first = await self.state()
        tasks = list(first.tasks)
        for page in range(2, -(-first.tasks_total // TASKS_PER_PAGE) + 1):
            tasks += (await self.state(page)).tasks
        return first.model_copy(update={"tasks": tuple(tasks)})

    async def approvals(self) -> list[PendingApproval]:
        """Everything that waits for approval, in the order in which it was asked for. Of a long
        text each has how it begins; `approval` has all of it."""
        first = await self._approvals(ApprovalsQuery())
        found = list(first.approvals)
        for page in range(2, first.pages + 1):
            found += (await self._approvals(ApprovalsQuery(page=page))).approvals
        return found

    async def approval(self, subject: str) -> PendingApproval | None:
        """What waits under this name, in full; None if nothing does. Raises `TextsUnavailable`."""
        found: PendingApproval | None = None
        text = ""
        while True:
            page = await self._approvals(ApprovalsQuery(subject=subject, first=len(text)))
            part = page.approvals[0] if page.approvals else None
            if part is None or (found is not None and part.sha256 != found.sha256):
                return None  # it was answered meanwhile
            if isinstance(part.content, TextRef):
                with translated(self.id):
                    read = await texts_of(self._client).read(part.content, PATIENCE_SECONDS)
                return part.model_copy(update={"content": read})
            found, text = part, text + part.content
            if not part.content or len(text) >= (part.content_characters or 0):
                whole = {"content": text, "content_first": 0, "content_characters": len(text)}
                return found.model_copy(update=whole)

    async def conversation(self, task: str) -> tuple[TurnView, ...]:
        """The turns of a task whose agent has tools, with how each call of a tool stands now. Long
        texts are cut: the history has all of them."""
        turns: list[TurnView] = []
        for number in range(1, 1_001):
            asked = ConversationQuery(task=task, page=number)
            with translated(self.id):
                page = await self._query("conversation", ConversationPage, asked)
            turns += page.turns
            if not page.turns or len(turns) >= page.turns_total:
                break
        return tuple(turns)

    async def _approvals(self, asked: ApprovalsQuery) -> ApprovalsPage:
        with translated(self.id):
            return await self._query("approvals", ApprovalsPage, asked)

    async def _describe(self) -> WorkflowExecutionDescription:
        with translated(self.id):
            return await self._must_be_ours(CALL_TIMEOUT)

    async def _answer(
        self, query: str, kind: type[QueryAnswer], payload: Message | None = None
    ) -> QueryAnswer:
        """The run's answer to a query, corrected if Temporal ended the run."""
        with translated(self.id):
            try:
                return await self._query(query, kind, payload, _ENDED_WELL)
            except WorkflowQueryRejectedError:
                answer = await self._query(query, kind, payload)
        found = await self._describe()
        if found.status not in TERMINATED_STATUSES or found.close_time is None:
            return answer
        return as_ended(answer, TERMINATED_STATUSES[found.status], found.close_time)

    async def _query(
        self,
        query: str,
        kind: type[Answer],
        payload: Message | None,
        reject: QueryRejectCondition | None = None,
    ) -> Answer:
        args = [] if payload is None else [payload]
        try:
            answer: Answer = await self._patiently(
                lambda timeout: self._handle.query(
                    query,
                    args=args,
                    result_type=kind,
                    reject_condition=reject,
                    rpc_timeout=timeout,
                )
            )
            return answer
        except (RPCError, TimeoutError) as error:
            if isinstance(error, RPCError) and not is_silence(error):
                raise
            await self._probe()
            raise NoWorker(self.id) from error
        except ValidationError as error:
            raise UpdateRefused(
                f"run {self.id}: its worker answers `{query}` in another format;"
                " worker and starter are of different versions"
            ) from error
