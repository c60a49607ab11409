"""What the workflow calls is what the worker registers; every entry takes any payload."""

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity, workflow

from durable_agent_team.contracts.activity_interfaces import (
    AccountActivities,
    AgentActivities,
    NotificationActivities,
    ProgramActivities,
    ToolActivities,
)
from durable_agent_team.contracts.error_types import ERRORS, ErrorType
from durable_agent_team.contracts.names import WORKFLOW
from durable_agent_team.contracts.team import Agent, OrchestratorAgent
from durable_agent_team.process.settings import WorkerSettings
from worker import all_activities
from workflows.orchestrator import Orchestrator
from workflows.policies import account_options, call_options

ROOT = Path(__file__).parents[2]
DEFINITION = workflow._Definition.must_from_class(Orchestrator)


def names_of(interface: type) -> set[str]:
    definitions = (activity._Definition.from_callable(each) for each in vars(interface).values()
                   if callable(each))  # fmt: skip
    return {each.name for each in definitions if each and each.name}


def called_by_workflows() -> set[str]:
    """`AccountActivities.open_accounts` and its like, wherever they stand in workflows/."""
    called = set()
    for path in (ROOT / "workflows").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id
                in (
                    "AccountActivities",
                    "AgentActivities",
                    "NotificationActivities",
                    "ProgramActivities",
                    "ToolActivities",
                )
            ):
                called.add(node.attr)
    return called


def test_every_activity_that_the_workflow_calls_is_registered(
    worker_settings: WorkerSettings,
) -> None:
    registered = {
        definition.name
        for each in all_activities(worker_settings, http=None)  # type: ignore[arg-type]
        if (definition := activity._Definition.from_callable(each))
    }
    called = called_by_workflows()
    assert called, "the search found nothing: it looks for the wrong names"
    assert called <= registered
    assert registered == set().union(
        *map(
            names_of,
            (
                AccountActivities,
                AgentActivities,
                NotificationActivities,
                ProgramActivities,
                ToolActivities,
            ),
        )
    )


def entries() -> list[tuple[str, Any]]:
    named = {name: each for name, each in DEFINITION.signals.items() if name is not None}
    signals = [(f"signal {name}", each.fn) for name, each in named.items()]
    queries = [(f"query {name}", each.fn) for name, each in DEFINITION.queries.items()]
    updates = [(f"update {name}", each.fn) for name, each in DEFINITION.updates.items()]
    validators = [
        (f"validator {name}", each.validator)
        for name, each in DEFINITION.updates.items()
    ]  # fmt: skip
    starts = [("run", Orchestrator.run), ("init", Orchestrator.__init__)]
    return [*starts, *signals, *queries, *updates, *validators]


@pytest.mark.parametrize(("name", "entry"), entries())
def test_every_entry_takes_any_payload(name: str, entry: Any) -> None:
    parameters = list(inspect.signature(entry).parameters.values())[1:]
    assert [each.name for each in parameters] == ["payload", "extra"], name
    payload, extra = parameters
    assert payload.default is None
    assert payload.annotation in (Any, "Any")
    assert extra.kind is inspect.Parameter.VAR_POSITIONAL


def test_the_public_names_are_there() -> None:
    assert DEFINITION.name == WORKFLOW
    assert set(DEFINITION.queries) >= {"spend", "state"}
    assert set(DEFINITION.signals) >= {"cancel", "pause", "resume", "adjust"}
    assert set(DEFINITION.updates) >= {"adjust_budget", "adjust_agent", "adjust_run", "add_task"}
    assert set(DEFINITION.updates) >= {"transfer", "retry_task", "cancel_task", "approve"}


@pytest.mark.parametrize("caller", [OrchestratorAgent(), Agent(role="r")])
@pytest.mark.parametrize("window", [1, 20, 100, 500])
def test_every_policy_has_a_timeout_and_a_bounded_retry(caller: Any, window: int) -> None:
    for options in (call_options(caller, window), account_options()):
        assert options["start_to_close_timeout"].total_seconds() > 0
        assert 0 < options["retry_policy"].maximum_attempts < 100
        assert options["heartbeat_timeout"] is not None, "a dead worker would hold the run up"
        assert 1.5 <= options["heartbeat_timeout"].total_seconds() <= 10


def test_every_error_type_has_a_rule() -> None:
    assert set(ERRORS) == set(ErrorType)
