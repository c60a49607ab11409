"""Gathers the evidence after a storm: histories, reports, the gateway's ledger, keys."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from durable_agent_team.cli.provider_accounts import ledgers_of
from durable_agent_team.cli.ui.charge_lines import DIFFERS, ChargeLine, charge_lines
from durable_agent_team.client.run_executions import read_executions
from durable_agent_team.client.run_history import read_record
from durable_agent_team.contracts.run import RunReport
from durable_agent_team.contracts.spend import SpendReport
from durable_agent_team.gateway.keys import KeyMaker
from tests.chaos.driver import Driver, NoAnswer, tried
from tests.chaos.facts import Effect, Facts, Recorded, RunFacts
from tests.chaos.ledger_reader import read_ledger
from tests.chaos.stack import KEPT_OUT, SECRET_NAMES, Stack
from tests.chaos.tools import EFFECTS
from tests.support import secrets
from workflows.orchestrator import Orchestrator

RPC = timedelta(seconds=5)
SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
COMPLETED = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED


@dataclass
class Evidence:
    """Everything that was gathered. `histories` has those of each run's executions, in order."""

    facts: Facts
    histories: dict[str, list[WorkflowHistory]]

    def keep(self, folder: Path, logs: Path) -> None:
        """Writes the histories and the logs, to find out why a promise broke."""
        folder.mkdir(parents=True, exist_ok=True)
        for run, executions in self.histories.items():
            for number, history in enumerate(executions):
                (folder / f"{run}.{number}.json").write_text(history.to_json())
        for log in logs.iterdir():
            (folder / log.name).write_bytes(log.read_bytes())


async def gather(stack: Stack, driver: Driver, settled_within: float) -> Evidence:
    """Everything, with the stack still up: a query needs a worker."""
    histories: dict[str, list[WorkflowHistory]] = {}
    gate = asyncio.Semaphore(16)

    async def one(run: str) -> RunFacts:
        async with gate:
            return await _run(stack, driver, run, histories)

    facts = Facts(runs=list(await asyncio.gather(*(one(run) for run in driver.expected))))
    await read_ledger(facts, stack.database, settled_within)
    facts.attempts = list(stack.upstream.attempts)
    facts.holes = list(dict.fromkeys(stack.upstream.holes))
    counted = stack.folder / EFFECTS
    if counted.exists():
        facts.effects = [Effect(**json.loads(line)) for line in counted.read_text().splitlines()]
    facts.spans = [span for victim in stack.victims.values() for span in victim.spans]
    facts.spans += stack.stdio_servers.spans + stack.texts.spans
    facts.stores_made_anew = list(stack.texts.made_anew)
    facts.decisions = driver.decisions
    facts.spans += [span for disk in stack.disks.values() for span in disk.spans]
    facts.unexpected_exits = {
        victim.name: victim.unexpected_exits for victim in stack.victims.values()
    }
    facts.keys_found = list(_search(stack, facts, histories))
    return Evidence(facts, histories)


async def _run(
    stack: Stack, driver: Driver, run: str, histories: dict[str, list[WorkflowHistory]]
) -> RunFacts:
    expected = driver.expected[run]
    handle = driver.handles.get(run)
    if handle is None:
        return RunFacts(run, "never started", expected)
    client = driver.client
    executions = await tried(lambda: read_executions(client, run), 30)
    histories[run] = [WorkflowHistory(run, execution) for execution in executions]
    scheduled, recorded = await _calls(client.data_converter, executions)
    known: dict[str, Any] = {
        "scheduled": scheduled,
        "recorded": recorded,
        "unanswered": await _unanswered(client.data_converter, executions),
        "executions": len(executions),
        "replay_failures": await _replay_failures(client.data_converter, histories[run]),
    }
    if run not in driver.ended:
        return RunFacts(run, "open", expected, **known)
    report, failure = await _report(handle)
    try:
        spend: SpendReport | None = await tried(lambda: driver.spend(handle), 30)
    except NoAnswer as silence:
        spend, failure = None, f"{failure} spend: {silence}"
    charges = await _charges(client, run, stack)
    return RunFacts(
        id=run,
        status=str(report.status) if report else "ended without a report",
        expected=expected,
        failure=failure,
        reported=_by_agent(report.spend) if report else None,
        queried=_by_agent(spend) if spend else None,
        limits={each.agent: each.budget_usd for each in spend.agents} if spend else {},
        ledger_agrees=str(report.spend.ledger_agrees) if report else "",
        possibly_billed=_possibly_billed(report, spend, charges),
        differences=tuple(each.note for each in charges if DIFFERS in each.note),
        **known,
    )


async def _replay_failures(
    converter: DataConverter, histories: list[WorkflowHistory]
) -> tuple[str, ...]:
    """Why a new worker could not take the run over, nor answer a query of it."""
    replayer = Replayer(
        workflows=[Orchestrator],
        workflow_runner=UnsandboxedWorkflowRunner(),
        data_converter=converter,
    )
    failures = []
    for number, history in enumerate(histories):
        replayed = await replayer.replay_workflow(history, raise_on_replay_failure=False)
        if replayed.replay_failure is not None:
            failures.append(f"execution {number}: {replayed.replay_failure}"[:400])
    return tuple(failures)


async def _report(handle: WorkflowHandle[Any, Any]) -> tuple[RunReport | None, str]:
    """From the result, or from the details of the run's error; and what the run failed of."""
    try:
        result = await asyncio.wait_for(handle.result(), 20)
        return RunReport.model_validate(result), ""
    except WorkflowFailureError as failed:
        cause = failed.cause
        details = cause.details if isinstance(cause, ApplicationError) else ()
        report = RunReport.model_validate(details[0]) if details else None
        return report, str(cause)[:300]
    except TimeoutError:
        return None, "its result could not be read"


async def _charges(client: Client, run: str, stack: Stack) -> tuple[ChargeLine, ...]:
    """As the command `charges` shows them."""
    record = await tried(lambda: read_record(client, run), 30)
    key = SecretStr(stack.secrets["GATEWAY_PARENT_KEY"])
    url = stack.secrets["ATXP_API_URL"]
    ledgers = await tried(lambda: ledgers_of(record.accounts, url, key), 30)
    return charge_lines(record, ledgers)


def _possibly_billed(
    report: RunReport | None, spend: SpendReport | None, charges: tuple[ChargeLine, ...]
) -> dict[str, tuple[int, Decimal]]:
    """How many calls, and the most that they can have cost, wherever a person is shown them."""
    shown = {
        "charges": (
            sum(each.possibly_billed_calls for each in charges),
            sum((each.possibly_billed_usd for each in charges), Decimal(0)),
        )
    }
    spends = {"query": spend, "report": report.spend if report else None}
    for name, each in spends.items():
        if each is not None:
            shown[name] = each.total.possibly_billed_calls, each.total.possibly_billed_usd
    return shown


def _by_agent(spend: SpendReport) -> dict[str, Decimal]:
    return {each.agent: each.spent_usd for each in spend.agents}


async def _calls(
    converter: DataConverter, executions: list[list[HistoryEvent]]
) -> tuple[frozenset[str], tuple[Recorded, ...]]:
    """The keys of all calls in a run's histories, as the upstream gets them; and those completed.

    A call in flight when the run continued as new is scheduled in both executions.
    """
    keys: set[str] = set()
    recorded = []
    for events in executions:
        calls: dict[int, tuple[str, str]] = {}
        turns: set[int] = set()
        for event in events:
            if event.event_type == SCHEDULED:
                about = event.activity_task_scheduled_event_attributes
                if about.activity_type.name == "call_agent":
                    [order] = await converter.decode(about.input.payloads[:1])
                    key = f"{order['account']['account_id']}:{order['idempotency_key']}"
                    calls[event.event_id] = key, order.get("ask", "") + str(order.get("goal", ""))
                    if order.get("conversation"):  # its task has more calls than one
                        turns.add(event.event_id)
            elif event.event_type == COMPLETED:
                done = await _completed(converter, event, calls, turns)
                if done is not None:
                    recorded.append(done)
        keys.update(key for key, _ in calls.values())
    return frozenset(keys), tuple(recorded)


async def _unanswered(
    converter: DataConverter, executions: list[list[HistoryEvent]]
) -> frozenset[str]:
    """The keys of calls of tools that were made, and have no result."""
    keys: set[str] = set()
    answered: set[str] = set()
    for events in executions:
        calls: dict[int, str] = {}
        for event in events:
            if event.event_type == SCHEDULED:
                about = event.activity_task_scheduled_event_attributes
                if about.activity_type.name == "call_tool":
                    [order] = await converter.decode(about.input.payloads[:1])
                    calls[event.event_id] = order["key"]
            elif event.event_type == COMPLETED:
                done = event.activity_task_completed_event_attributes.scheduled_event_id
                answered.update([calls[done]] if done in calls else [])
        keys |= set(calls.values())
    return frozenset(keys - answered)


async def _completed(
    converter: DataConverter,
    event: HistoryEvent,
    calls: dict[int, tuple[str, str]],
    turns: set[int],
) -> Recorded | None:
    about = event.activity_task_completed_event_attributes
    call = calls.get(about.scheduled_event_id)
    if call is None:
        return None
    [result] = await converter.decode(about.result.payloads[:1])
    marker = call[1].rpartition("[[")[2].partition("]]")[0]
    ends = about.scheduled_event_id not in turns and not result.get("reasons")
    return Recorded(call[0], marker, event.event_time.ToNanoseconds() / 1e9, ends)


def _search(stack: Stack, facts: Facts, histories: dict[str, list[WorkflowHistory]]) -> list[str]:
    """Every place where a key was found, by the name of the key and of the place."""
    maker = KeyMaker(stack.secrets["GATEWAY_SECRET"])
    keys = {name: stack.secrets[name] for name in SECRET_NAMES}
    keys |= {f"key of {account.id}": maker.agent_key(account.id) for account in facts.accounts}
    places = dict(files(stack.folder))
    for run, executions in histories.items():
        events = [event for execution in executions for event in execution.events]
        places[f"history of {run}"] = b"\0".join(event.SerializeToString() for event in events)
    return secrets.found(keys, places)


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in KEPT_OUT:
            yield str(path.relative_to(folder)), path.read_bytes()
