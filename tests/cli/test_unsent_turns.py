"""A turn whose worker asked for the conversation first was not sent to the model: people see one
call of it, the one that was."""

from dataclasses import replace
from decimal import Decimal

from durable_agent_team.cli.ui.call_timeline import bars_of
from durable_agent_team.cli.ui.charge_lines import charge_lines
from durable_agent_team.client.run_history import RunRecord
from durable_agent_team.contracts.accounts import Capabilities
from durable_agent_team.contracts.error_types import ErrorType
from tests.unit.demo_run import CENT, NOW, call, report, task

SENT = call("k1", "one", "a")
QUESTION = replace(SENT, result=None, failure=f"{ErrorType.UNKNOWN_BASE}: not known here")
REFUSED = replace(SENT, result=None, failure="RateLimited: later")


def record(*calls: object) -> RunRecord:
    return RunRecord("run", None, (), Capabilities(), calls, NOW, NOW)  # type: ignore[arg-type]


def test_charges_and_timeline_have_the_call_that_was_sent() -> None:
    [line] = charge_lines(record(QUESTION, SENT), None)
    assert (line.amount_usd, line.note) == (CENT, "")
    [bar] = bars_of(record(QUESTION, SENT), report(task("a", "one")))
    assert bar.outcome == "good"


def test_every_other_failed_call_stays() -> None:
    assert [each.amount_usd for each in charge_lines(record(REFUSED, SENT), None)] == [
        Decimal(0), CENT,
    ]  # fmt: skip
    assert len(bars_of(record(REFUSED, SENT), report(task("a", "one")))) == 2
