"""Reports and states fit their bounds in bytes of JSON, whatever the texts of a run are."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from durable_agent_team.contracts.call import CallResult, Usage
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import TASKS_PER_PAGE, Failure, RunRequest, Waiting
from durable_agent_team.contracts.spend import AGENTS_PER_PAGE
from durable_agent_team.contracts.team import Agent, Task, Team
from durable_agent_team.rules.encoded_size import MAX_PAYLOAD_BYTES, encoded_bytes
from workflows.state.agent_account import AgentAccount
from workflows.state.charges import Use
from workflows.state.progress import Progress
from workflows.state.reports import (
    CUT_HERE,
    run_report,
    run_state,
    spend_page,
    spend_report,
)

NOW = datetime(2026, 1, 1, 1, 2, 3, 456789, tzinfo=UTC)
STATE_BYTES = 64 * 1024
WORST = "\x01"
"""Six bytes of JSON."""


def run_of(tasks: int, agents: int, text: str, handoff: int, failed: int, edges: int) -> Progress:
    """A run with texts as long as their contracts allow, made of one character."""
    progress = Progress("r" * 1_000, NOW)
    names = [f"a{n:039d}" for n in range(agents)]
    team = Team(name="n" * 40, goal=text * 4_000, agents={each: Agent(role="R") for each in names})
    progress.request = RunRequest(team=team)
    ids = [f"t{n:039d}" for n in range(tasks)]
    plan = tuple(
        Task(
            id=each, agent=names[n % agents], ask="x", depends_on=tuple(ids[max(n - edges, 0) : n])
        )
        for n, each in enumerate(ids)
    )
    progress.tasks.adopt(Plan(tasks=plan))
    for name in names:
        progress.accounts[name] = AgentAccount(name, text * 200, Decimal("1000000.000001"))
    for n, each in enumerate(ids):
        log = progress.tasks.logs[each]
        log.started_at = log.ended_at = NOW
        if n < failed:
            failure = Failure(
                type=ErrorType.CHECK_FAILED,
                message=text * 2_000,
                required_usd=Decimal("999999.999999"),
                remaining_usd=Decimal("999999.999999"),
            )
            log.failure = failure
            waiting = Waiting(subject=each, reason=text * 1_000, command="c" * 1_500, since=NOW)
            progress.wait_for_person(waiting)
        else:
            progress.tasks.handoffs[each] = text * handoff
    for _ in range(20):
        progress.refuse(NOW, text * 100, text * 1_000)
    progress.cancel_reason = text * 1_000
    progress.failure = Failure(type=ErrorType.RUN_FAILED, message=text * 2_000)
    progress.answer = text * 200_000
    return progress


def _answer(usage: Usage, cost_usd: Decimal) -> CallResult:
    return CallResult(answer="x", usage=usage, cost_usd=cost_usd, started_at=NOW, seconds=1)


def check_sizes(progress: Progress) -> None:
    assert encoded_bytes(run_report(progress, NOW)) <= MAX_PAYLOAD_BYTES
    pages = -(-len(progress.tasks.schedule.tasks) // TASKS_PER_PAGE)
    for page in (1, pages):
        state = run_state(progress, page)
        assert encoded_bytes(state) <= STATE_BYTES
        assert state.waiting or not progress.waiting, "what waits comes before other texts"


@pytest.mark.parametrize(
    ("failed", "text"), [(0, WORST), (500, "🚲"), (1_000, WORST), (1_000, '"')]
)
def test_a_thousand_tasks_with_the_longest_texts_fit(failed: int, text: str) -> None:
    check_sizes(run_of(1_000, 20, text, 60_000, failed, edges=3))


def test_a_thousand_agents_fit_as_well() -> None:
    progress = run_of(1_000, 1_000, WORST, 1_000, 10, edges=20)
    check_sizes(progress)
    report = run_report(progress, NOW)
    assert report.answer is not None
    assert report.answer.endswith(CUT_HERE)
    assert encoded_bytes(spend_report(progress)) <= MAX_PAYLOAD_BYTES


def test_each_page_of_a_thousand_agents_stays_below_64_kb() -> None:
    progress = run_of(1, 1_000, WORST, 1, 0, edges=0)
    most = Decimal("999999999.999999")
    for n, account in enumerate(progress.accounts.values()):
        key = f"key-{n}"
        account.begin(key, None)
        used = Usage(
            prompt_tokens=10**9, completion_tokens=10**9, cached_tokens=10**9,
            cache_write_tokens=10**9, reasoning_tokens=10**9, saved_usd=-most,
        )  # fmt: skip
        account.settle(key, _answer(used, most), Use.USEFUL)
    whole = spend_report(progress)
    pages = [spend_page(progress, page) for page in range(1, 21)]
    assert max(map(encoded_bytes, pages)) <= STATE_BYTES
    assert tuple(agent for page in pages for agent in page.agents) == whole.agents
    assert {page.agents_total for page in pages} == {1_000}
    assert [page.page for page in pages] == list(range(1, 21))
    assert all(page.total == whole.total for page in pages), "always of all agents"
    assert spend_page(progress, 21).agents == ()


def test_the_spend_of_few_agents_is_one_page_that_says_nothing_of_pages() -> None:
    progress = run_of(1, AGENTS_PER_PAGE, "x", 1, 0, edges=0)
    assert spend_page(progress, 1) == spend_report(progress)
    assert not {"page", "agents_total"} & spend_page(progress, 1).model_fields_set
    assert spend_page(progress, 2).agents == ()


def test_the_answer_is_whole_wherever_it_fits() -> None:
    report = run_report(run_of(1_000, 20, WORST, 60_000, 1_000, edges=3), NOW)
    assert report.answer == WORST * 200_000


@pytest.mark.parametrize(("agents", "failed"), [(20, 5_000), (1_000, 5_000), (1_000, 0)])
def test_the_last_of_five_thousand_tasks_are_cut_to_what_fits(agents: int, failed: int) -> None:
    """Without a store Temporal would end the run for the size of its report."""
    progress = run_of(5_000, agents, WORST, 10, failed, edges=3)
    report = run_report(progress, NOW)
    assert encoded_bytes(report) <= MAX_PAYLOAD_BYTES
    tasks = [each.task for each in report.outcomes]
    assert [each.id for each in tasks] == list(progress.tasks.schedule.tasks)
    whole = len(tasks) - report.outcomes_cut
    assert {each.started_at for each in tasks[whole:]} == {None}
    assert {each.started_at for each in tasks[:whole]} <= {NOW}
    assert report.answer is not None
    assert len(report.answer) > 1_000


def test_the_first_of_five_thousand_failures_have_their_messages() -> None:
    report = run_report(run_of(5_000, 20, "x", 10, 5_000, edges=3), NOW)
    assert report.answer == "x" * 200_000
    whole = 5_000 - report.outcomes_cut
    assert 1_000 < whole < 5_000
    failures = [each.task.failure for each in report.outcomes]
    assert all(each is not None and each.message for each in failures[:whole])
    assert set(failures[whole:]) == {None}
    assert "outcomes_cut" not in run_report(run_of(9, 1, "x", 1, 9, 0), NOW).model_fields_set


@settings(max_examples=30, deadline=None)
@given(
    tasks=st.integers(1, 120),
    agents=st.integers(1, 5),
    text=st.characters(exclude_categories=["Cs"]),
    handoff=st.integers(0, 100_000),
    failed=st.integers(0, 120),
    edges=st.integers(0, 20),
)
@example(tasks=20, agents=5, text="\U00010000", handoff=0, failed=20, edges=0)
def test_any_run_fits(
    tasks: int, agents: int, text: str, handoff: int, failed: int, edges: int
) -> None:
    check_sizes(run_of(tasks, agents, text, handoff, failed, edges))
