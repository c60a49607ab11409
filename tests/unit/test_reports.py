"""Answers of queries and reports fit into a payload, however large the run is."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from durable_agent_team.contracts.approvals import ApprovalKind
from durable_agent_team.contracts.call import MAX_ANSWER
from durable_agent_team.contracts.control import Approve
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import TASKS_PER_PAGE, Failure, TaskStatus, Waiting
from durable_agent_team.contracts.team import Checks, Task
from durable_agent_team.rules.encoded_size import encoded_bytes
from workflows.state.agent_account import AgentAccount
from workflows.state.open_approval import OpenApproval
from workflows.state.progress import Progress
from workflows.state.reports import (
    CUT_ANSWER,
    MAX_DEPENDENCY_BYTES,
    MAX_OUTPUT_BYTES,
    joined,
    run_report,
    run_state,
    spend_report,
)
from workflows.state.ui_details import MAX_BYTES, details

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOST_BYTES = 64 * 1024


def working(size: int) -> Progress:
    progress = Progress("run", NOW)
    tasks = tuple(Task(id=f"t{n}", agent="one", ask="List the prices.") for n in range(size))
    progress.tasks.adopt(Plan(tasks=tasks, result="t0"))
    return progress


def test_a_state_of_many_failures_is_small_and_paged() -> None:
    progress = working(2 * TASKS_PER_PAGE + 1)
    for task_id in progress.tasks.schedule.tasks:
        failure = Failure(type=ErrorType.CHECK_FAILED, message="no quote " * 200)
        progress.tasks.failed(task_id, failure, NOW)
    pages = [run_state(progress, page) for page in (1, 2, 3, 4)]
    assert [len(page.tasks) for page in pages] == [TASKS_PER_PAGE, TASKS_PER_PAGE, 1, 0]
    assert {page.tasks_total for page in pages} == {2 * TASKS_PER_PAGE + 1}
    seen = [task.id for page in pages for task in page.tasks]
    assert seen == list(progress.tasks.schedule.tasks)
    assert max(encoded_bytes(page) for page in pages) <= MOST_BYTES


def test_all_dependencies_are_listed() -> None:
    """In a plan of thirty tasks, the last one waits for all others."""
    progress = Progress("run", NOW)
    first = tuple(Task(id=f"t{n}", agent="one", ask="List the prices.") for n in range(29))
    needs = tuple(task.id for task in first)
    last = Task(id="end", agent="one", ask="Sum up.", depends_on=needs)
    progress.tasks.adopt(Plan(tasks=(*first, last), result="end"))
    for task in (run_state(progress, 1).tasks[-1], run_report(progress, NOW).outcomes[-1].task):
        assert (task.depends_on, task.depends_on_cut) == (needs, False)


def test_too_many_dependencies_are_cut_and_marked() -> None:
    progress = Progress("run", NOW)
    tasks = [Task(id=f"t{n:039d}", agent="one", ask="List the prices.") for n in range(200)]
    for n, task in enumerate(tasks):
        tasks[n] = task.model_copy(update={"depends_on": tuple(each.id for each in tasks[:n])})
    progress.tasks.adopt(Plan(tasks=tuple(tasks), result=None))
    listed = [each.task for each in run_report(progress, NOW).outcomes]
    assert sum(len(name) for task in listed for name in task.depends_on) <= MAX_DEPENDENCY_BYTES
    assert [task.depends_on_cut for task in listed] == [
        len(task.depends_on) < n for n, task in enumerate(listed)
    ]
    assert listed[-1].depends_on_cut


def test_long_hand_offs_are_cut_in_the_report_and_marked() -> None:
    progress = working(4)
    for task_id, length in (("t0", MAX_OUTPUT_BYTES - 10), ("t1", 25), ("t2", 5)):
        progress.tasks.done(task_id, "x" * length, NOW)
    outcomes = run_report(progress, NOW).outcomes
    assert [len(each.output or "") for each in outcomes] == [MAX_OUTPUT_BYTES - 10, 10, 0, 0]
    assert [each.output_cut for each in outcomes] == [False, True, True, False]
    assert outcomes[3].output is None, "it has none, which is not an empty one"


def test_a_report_fits_a_payload_in_any_script() -> None:
    """A kanji takes three bytes, an emoji four. A run whose report does not fit could never end."""
    for text in ("漢" * 200_000, "🚲" * 200_000):
        progress = working(8)
        for task_id in progress.tasks.schedule.tasks:
            progress.tasks.done(task_id, text, NOW)
        progress.answer = joined(list(progress.tasks.handoffs.values()))
        assert len(run_report(progress, NOW).model_dump_json().encode()) < 2_000_000


def test_hand_offs_are_an_answer_whole_or_cut_and_marked() -> None:
    assert joined(["one", "two"]) == "one\n\ntwo"
    answer = joined(["x" * 3_000] * 100)
    assert len(answer) == MAX_ANSWER
    assert answer.endswith(CUT_ANSWER)


def test_the_report_adds_up_to_the_spend() -> None:
    progress = working(1)
    assert run_report(progress, NOW).spend == spend_report(progress)


def test_the_details_for_temporals_ui_stay_small_when_everything_waits() -> None:
    """They are written in every workflow task."""
    progress = working(1_000)
    for task_id in progress.tasks.schedule.tasks:
        reason = "one: the account has too little left. "
        progress.park(Waiting(subject=task_id, reason=reason, command="retry", since=NOW))
    shown = details(progress)
    assert len(shown.encode()) <= MAX_BYTES
    assert "and 950 more wait for you" in shown


def test_the_details_name_what_waits_and_until_when() -> None:
    progress = working(2)
    for task_id, until in (("t0", NOW + timedelta(days=7, seconds=5)), ("t1", None)):
        waiting = Waiting(subject=task_id, reason="one: no", command="retry", since=NOW)
        progress.park(waiting.model_copy(update={"until": until}))
    lines = details(progress).splitlines()
    assert "- **t0** waits for you until 2026-01-08 00:00:05 UTC: one: no `retry`" in lines
    assert "- **t1** waits for you: one: no `retry`" in lines


def test_the_details_speak_of_one_thing_and_of_several() -> None:
    for extra in (1, 2):
        progress = working(50 + extra)
        for task_id in progress.tasks.schedule.tasks:
            progress.park(Waiting(subject=task_id, reason="no", command="c", since=NOW))
        for number in range(50 + extra):
            name = f"a{number}"
            progress.accounts[name] = AgentAccount(name, "m", Decimal(1))
        progress.accounts["a0"].possibly_billed_calls = extra
        shown = details(progress)
        one = extra == 1
        for expected in (
            "- and 1 more waits for you" if one else "- and 2 more wait for you",
            "- and 1 more agent\n" if one else "- and 2 more agents\n",
            "operator: 1 call, at most" if one else "operator: 2 calls, at most",
        ):
            assert expected in f"{shown}\n"


def test_a_task_that_ends_with_the_run_has_the_time_at_which_it_did() -> None:
    """Else the time that it took would grow whenever someone looks."""
    progress = working(2)
    progress.tasks.started("t0", NOW)
    progress.tasks.cancel_rest(NOW + timedelta(minutes=3))
    begun, never = run_report(progress, NOW).outcomes
    assert begun.task.ended_at == NOW + timedelta(minutes=3)
    assert (never.task.status, never.task.ended_at) == (TaskStatus.CANCELLED, None)


def test_details_that_do_not_fit_say_so() -> None:
    progress = working(1_000)
    for task_id in progress.tasks.schedule.tasks:
        progress.park(Waiting(subject=task_id, reason="市場" * 400, command="retry", since=NOW))
    shown = details(progress)
    assert len(shown.encode()) <= MAX_BYTES
    assert shown.splitlines()[-1] == "- and more: the query `state` has all"


def test_details_are_lists_and_have_the_plan_that_waits() -> None:
    """Temporal's UI draws the columns of a Markdown table into each other."""
    progress = Progress("run", NOW)
    first = Task(id="duties", agent="lawyer", ask="List *every* duty.", inputs=("gpl.txt",))
    checks = Checks(min_length=20)
    last = Task(id="text", agent="editor", ask="Sum up.", depends_on=("duties",), checks=checks)
    progress.tasks.adopt(Plan(tasks=(first, last), result="text"))
    progress.accounts["lawyer"] = AgentAccount("lawyer", "m", Decimal("0.5"))
    assert "Sum up." not in details(progress)
    progress.for_approval = "plan"
    lines = details(progress).splitlines()
    assert "- **lawyer** · idle · 0.000000 of 0.500000 USD · 0 calls" in lines
    assert "- **duties** (lawyer): List \\*every\\* duty. · reads gpl.txt" in lines
    assert "- **text** (editor): Sum up. · after duties · min length 20" in lines
    assert not any(line.startswith("|") for line in lines)


def asks_for(progress: Progress, subject: str, content: str) -> None:
    """A call of a tool that waits for approval."""
    progress.approvals[subject] = OpenApproval(
        kind=ApprovalKind.TOOL,
        what="shop:refund",
        sha256="0" * 64,
        since=NOW,
        amount_usd=Decimal(5),
        tainted=True,
        content=content,
    )
    progress.park(Waiting(subject=subject, reason="it waits", command="approve", since=NOW))


def test_details_have_what_is_to_be_approved_in_full_and_nothing_of_it_is_markup() -> None:
    progress = working(1)
    content = '{"note": "' + "sorry. " * 400 + 'The end.", "mark": "```\\n# Approved\u202e"}'
    asks_for(progress, "t0:2.1", content)
    lines = details(progress).splitlines()
    at = lines.index("**t0:2.1** · shop:refund · 5.000000 USD · after something from outside")
    assert lines[at + 2] == f"```` {content} ````".replace("\u202e", "\\u202e")
    payload = json.dumps({"subject": "t0:2.1", "approved": True, "sha256": "0" * 64})
    assert lines[at + 4] == (
        f"To approve it here: Send an Update, `approve`, with `{payload}`;"
        " with false instead of true it is rejected"
    )
    progress.approvals["t0:2.1"].answer = Approve(subject="t0:2.1", approved=True)
    assert "What waits for approval" not in details(progress)


def test_details_show_what_looks_like_html_as_it_was_written() -> None:
    progress = working(1)
    said = 'refund waits: {"note": "a < b & <img src=x onerror=alert(1)> &lt;"}'
    progress.park(Waiting(subject="t0", reason=said, command="approve RUN t0", since=NOW))
    [line] = [each for each in details(progress).splitlines() if "waits for you" in each]
    assert r"a \< b \& \<img src=x onerror=alert(1)\> \&lt;" in line


def test_what_is_to_be_approved_ends_where_it_is_cut() -> None:
    progress = working(1)
    for number in range(12):
        asks_for(progress, f"t0:2.{number}", "市場 " * 9_000)
    shown = details(progress)
    assert len(shown.encode()) <= MAX_BYTES
    assert all(line.count("`") % 2 == 0 for line in shown.splitlines())
    assert "and more: the query `approvals` has all of it" in shown
