"""What a person reads after a failure: commands that exist, and that such a run takes."""

import re

import pytest

from durable_agent_team.cli.command_group import COMMANDS
from durable_agent_team.cli.ui.remedies import remedy_of
from durable_agent_team.cli.ui.report_facts import head_of
from durable_agent_team.cli.ui.run_tables import failed_block, report_text, state_text
from durable_agent_team.contracts.error_types import ERRORS, ErrorType
from durable_agent_team.contracts.run import Failure, RunStatus, TaskStatus, Waiting
from tests.cli.test_live import NOW, state
from tests.unit.demo_run import report, task

FAILED = Failure(type=ErrorType.UPSTREAM_UNAVAILABLE, message="no connection")


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("kind", list(ERRORS))
def test_a_remedy_names_commands_and_no_update(kind: ErrorType, ended: bool) -> None:
    text = remedy_of(Failure(type=kind, message="x"), ended=ended)
    assert "retry_task" not in text
    assert "adjust_" not in text
    for command in re.findall(r"`([a-z-]+) RUN", text):
        assert command in COMMANDS, text


def test_an_open_run_takes_a_retry_and_an_ended_one_is_gone_on_from() -> None:
    failed = task("facts", "one", TaskStatus.FAILED, failure=FAILED)
    assert "`retry RUN TASK`" in "\n".join(failed_block([failed], None))
    assert "`rerun RUN`" in "\n".join(failed_block([failed], None, ended=True))


def test_only_in_the_same_run_a_program_gets_the_same_answers_again() -> None:
    failed = Failure(type=ErrorType.PROGRAM_FAILED, message="x")
    assert "(`agent RUN AGENT`), so that it asks anew" in remedy_of(failed, ended=False)
    assert remedy_of(failed, ended=True).endswith("Then `rerun RUN`.")


def test_what_waits_for_a_retry_says_what_to_do_before_it_once() -> None:
    waits = [
        Waiting(
            subject=subject,
            reason="an attempt took 120 s",
            type=kind,
            command=f"starter.py {command} run {subject}",
            since=NOW,
        )
        for subject, kind, command in (
            ("a", ErrorType.GATEWAY_LIMIT, "retry"),
            ("b", ErrorType.GATEWAY_LIMIT, "retry"),
            ("c", ErrorType.BUDGET_EXHAUSTED, "budget"),
            ("d", None, "approve"),
        )
    ]
    text = state_text(state().model_copy(update={"waiting": tuple(waits)}))
    assert text.count("what to do: ") == 1
    assert "`agent RUN AGENT --timeout SECONDS`" in text


def test_the_report_of_a_failed_run_ends_with_what_shows_it_and_what_goes_on() -> None:
    failed = task("facts", "one", TaskStatus.FAILED, failure=FAILED)
    text = report_text(report(failed, status=RunStatus.FAILED, answer=None, failure=FAILED))
    assert re.search(r"^    \S.* task run facts$", text, re.MULTILINE)
    assert re.search(r"^    \S.* rerun run --id run-rerun$", text, re.MULTILINE)


def test_without_a_failed_task_only_what_did_not_complete_is_gone_on_from() -> None:
    cancelled = report(task("facts", "one"), status=RunStatus.CANCELLED, answer=None)
    assert " rerun run" in report_text(cancelled)
    assert " rerun run" not in report_text(report(task("facts", "one")))


def test_a_report_that_was_cut_says_what_is_left_out_and_where_it_is() -> None:
    whole = report(task("facts", "one", TaskStatus.FAILED, failure=FAILED), failure=FAILED)
    cut = whole.model_copy(update={"outcomes_cut": 7})
    for text in (report_text(cut), str(dict(head_of(cut)))):
        assert "times and failures of the last 7 tasks, which did not fit: " in text
        assert " state run` shows them" in text
    assert "did not fit" not in report_text(whole) + str(head_of(whole))
