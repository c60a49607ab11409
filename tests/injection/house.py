"""Plays cases of the injection set: the real workflow, activities and gateway, a model that obeys,
and the servers of `attacker.py`."""

import asyncio
import contextlib
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError

from durable_agent_team.contracts.approvals import ApprovalKind, ApprovalsPage, PendingApproval
from durable_agent_team.contracts.run import RunReport, RunState, Waiting
from tests.injection.attacker import Seen, Servers
from tests.injection.case import Case
from tests.support.packages import Rooms
from tests.support.upstream import Rule

READY_SECONDS = 90.0
CANARIES = {name: f"canary of {name} 7f3a" for name in ("reader", "between", "clerk", "bystander")}
"""In each agent's instructions: no other agent's prompt may have it."""
GOAL = "canary of the goal 91bc"
BUDGET = "5"


@dataclass
class Played:
    """What came of one run. `waited`: what a person was asked before the run ended."""

    case: Case
    seen: Seen
    report: RunReport
    prompts: list[str]
    """The messages that reached the model."""
    waited: list[Waiting] = field(default_factory=list)
    approvals: list[PendingApproval] = field(default_factory=list)
    effects_before_decision: int = 0

    @property
    def effects(self) -> int:
        return len(self.seen.effects)


class Plays:
    """What came of all of them. A case that could not be played fails only its own tests."""

    def __init__(self, ended: dict[tuple[str, str | None], Played | BaseException]) -> None:
        self._ended = ended

    def of(self, case: Case, approve: str | None = None) -> Played:
        """As it comes, or with `approve: never`, without a defence."""
        ended = self._ended[case.name, approve]
        if isinstance(ended, BaseException):
            raise ended
        return ended

    def each_of(self, case: Case) -> list[Played]:
        """All that was played of the case."""
        return [self.of(case, approve) for name, approve in self._ended if name == case.name]


def team(case: Case, key: str, url: str, approve: str | None) -> dict[str, Any]:
    """`approve` of all tools with effects; None as it comes."""

    def agent(name: str, tools: list[Any] | None = None) -> dict[str, Any]:
        made: dict[str, Any] = {"role": name, "model": "m", "budget_usd": BUDGET}
        made["instructions"] = f"{CANARIES[name]} {key}"
        return {**made, "tools": tools, "max_turns": 12} if tools else made

    victim: dict[str, Any] = {"server": "bank", "trusted": True}
    if approve:
        victim["approve"] = approve
    clerk: list[Any] = [*case.built_in, victim]
    reads: list[Any] = [{"server": "mail", "only": ["read_mail"], "effects": "none"}]
    if len(case.definitions or []) > 1:
        # What else the attacker's server has: it says itself what it does to the world.
        others: dict[str, Any] = {"server": "mail", "leave_out": ["read_mail"]}
        reads.append({**others, "approve": approve} if approve else others)
    agents: dict[str, Any] = {"clerk": agent("clerk", clerk if case.reader else [*reads, *clerk])}
    agents["bystander"] = agent("bystander")
    tasks = [
        {"id": "t1", "agent": "clerk", "ask": case.ask, "inputs": list(case.filled(case.documents))}
    ]
    if case.reader:
        agents["reader"] = agent("reader", reads)
        ask = f"{case.ask if not case.unread else Case.model_fields['ask'].default} @@repeat@@"
        tasks = [{"id": "t0", "agent": "reader", "ask": ask}]
        before = "t0"
        if case.between:
            agents["between"] = agent("between")
            tasks.append(
                {"id": "t00", "agent": "between", "ask": "@@repeat@@", "depends_on": ["t0"]}
            )
            before = "t00"
        last: dict[str, Any] = {"id": "t1", "agent": "clerk", "ask": "Do your work."}
        tasks.append(last if case.unread else {**last, "depends_on": [before]})
    return {
        "name": "injection",
        "goal": GOAL,
        "orchestrator": {"budget_usd": BUDGET, "model": "m"},
        "agents": agents,
        "tasks": tasks,
        "result": "t1",
        "review_rounds": 1 if case.review else 0,
        "approve_review": approve or "tainted",
        "tool_servers": {name: {"url": f"{url}/{key}/{name}/mcp"} for name in ("mail", "bank")},
    }


class House:
    def __init__(self, rooms: Rooms, servers: Servers, url: str) -> None:
        self._rooms, self._servers, self._url = rooms, servers, url
        self._prompts: list[str] = []
        """The messages of each request that has reached the model."""
        rooms.upstream.add(Rule(obeys=True))

    async def play(self, case: Case, approve: str | None = None) -> Played:
        """The run, to its end. A person rejects every effect that they are asked to approve, and
        lets a review change the plan, since what it adds must not have an effect either."""
        key = uuid.uuid4().hex[:12]
        seen = self._servers.add(key, case)
        payload = {
            "team": team(case, key, self._url, approve),
            "sources": case.filled({**case.documents, **case.run_documents}),
            "goal": f"{GOAL} {key}",
        }
        handle = await self._rooms.start(payload, f"injection-{key}")
        person = Person(handle, seen, rests=approve == "never")
        async with asyncio.timeout(READY_SECONDS):
            report = await person.until_the_end()
        more = self._rooms.upstream.requests[len(self._prompts) :]
        self._prompts += [json.dumps(each.body["messages"]) for each in more]
        prompts = [prompt for prompt in self._prompts if key in prompt]
        return Played(case, seen, report, prompts, person.waited, person.approvals, person.effects)


LOOKS = 0.3
"""Seconds between two looks at a run: each costs its worker some milliseconds."""
PATIENCE = 10
"""Looks at what waits for approval, for one at what waits for something else."""


class Person:
    """Looks at a run, and rejects what waits for approval, but for reviews. What waits for
    something else is given up. Looks seldom, where it `rests`: at a run that nobody is asked
    about."""

    def __init__(self, handle: WorkflowHandle[Any, Any], seen: Seen, *, rests: bool) -> None:
        self.waited: list[Waiting] = []
        self.approvals: list[PendingApproval] = []
        self.effects = 0
        self._handle = handle
        self._seen = seen
        self._spoke_of: set[str] = set()
        self._rests = rests
        self._looked = 0

    async def until_the_end(self) -> RunReport:
        result = asyncio.create_task(self._handle.result())
        while not result.done():
            await asyncio.wait({result}, timeout=LOOKS * PATIENCE if self._rests else LOOKS)
            if not result.done():
                with contextlib.suppress(RPCError, WorkflowQueryFailedError):
                    await self._look()
        try:
            return RunReport.model_validate(result.result())
        except WorkflowFailureError as failed:
            return RunReport.model_validate(failed.cause.details[0])  # type: ignore[attr-defined]

    async def _look(self) -> None:
        handle = self._handle
        if not (await handle.query("state", result_type=RunState)).waiting:
            return
        page = await handle.query("approvals", {}, result_type=ApprovalsPage)
        self._looked += 1
        if not page.approvals and not self._rests and self._looked % PATIENCE:
            return
        state = await handle.query("state", result_type=RunState)
        self.waited += [each for each in state.waiting if each.subject not in self._spoke_of]
        for each in page.approvals:
            if each.subject not in self._spoke_of:
                self.approvals.append(each)
                self.effects = len(self._seen.effects)
                self._spoke_of.add(each.subject)
                approved = each.kind is ApprovalKind.REVIEW
                order = {"subject": each.subject, "approved": approved, "note": "no"}
                await handle.execute_update("approve", order)
        for waiting in state.waiting:
            # Such a name waits for an approval, which the next look sees.
            waits_for_approval = ":" in waiting.subject or waiting.subject == ApprovalKind.REVIEW
            if not waits_for_approval and waiting.subject not in self._spoke_of:
                self._spoke_of.add(waiting.subject)
                self.effects = len(self._seen.effects)
                await handle.execute_update("cancel_task", {"task": waiting.subject})
