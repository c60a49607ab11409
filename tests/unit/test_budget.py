"""The sums of an agent's account are exact."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.calls.request_body import body
from durable_agent_team.contracts.call import AccountRef, CallRequest, CallResult, Source
from durable_agent_team.contracts.ledger import Charge, Ledger
from durable_agent_team.contracts.model_catalog import ModelPrice
from durable_agent_team.contracts.spend import AgentStatus, Totals
from durable_agent_team.rules.bounds import (
    MESSAGE_ALLOWANCE_TOKENS,
    MESSAGES_PER_CALL,
    text_bytes,
    worst_case_usd,
)
from durable_agent_team.rules.shares import shares
from workflows.state.agent_account import AgentAccount
from workflows.state.charges import Use

MICROS = st.integers(0, 10**8).map(lambda micros: Decimal(micros).scaleb(-6))


def result(cost: Decimal) -> CallResult:
    return CallResult(
        answer="x", cost_usd=cost, started_at=datetime(2026, 1, 1, tzinfo=UTC), seconds=1
    )


def ledger(account: AgentAccount, charges: dict[str, Decimal], reserved: str = "0") -> Ledger:
    return Ledger(
        agent=account.agent,
        account_id="x",
        status="active",
        budget_usd=account.budget_usd,
        spent_usd=sum(charges.values(), Decimal(0)),
        reserved_usd=Decimal(reserved),
        charges=tuple(Charge(idempotency_key=k, amount_usd=v) for k, v in charges.items()),
    )


@given(st.lists(st.tuples(MICROS, st.sampled_from(Use)), max_size=30))
def test_the_parts_add_up_to_what_was_spent(charges: list[tuple[Decimal, Use]]) -> None:
    account = AgentAccount("a", "m", Decimal(1_000_000))
    for number, (cost, use) in enumerate(charges):
        account.begin(str(number), Decimal(1))
        account.settle(str(number), result(cost), use)
    report = account.report()
    assert report.spent_usd == sum((cost for cost, _ in charges), Decimal(0))
    parts = report.useful_usd + report.repairs_usd + report.failed_attempts_usd
    assert parts + report.discarded_usd == report.spent_usd
    assert report.spent_usd + report.remaining_usd == report.budget_usd
    assert report.reserved_usd == 0
    assert report.calls == len(charges)


@given(MICROS, st.dictionaries(st.text(min_size=1, max_size=3), MICROS, max_size=6))
def test_shares_never_exceed_the_whole(whole: Decimal, weights: dict[str, Decimal]) -> None:
    parts = shares(whole, weights)
    assert set(parts) == set(weights)
    assert sum(parts.values(), Decimal(0)) <= whole
    if parts:
        assert whole - sum(parts.values()) < Decimal("0.000001") * len(parts)


def test_shares_follow_the_weights() -> None:
    parts = shares(Decimal(3), {"a": Decimal(1), "b": Decimal(2)})
    assert parts == {"a": Decimal(1), "b": Decimal(2)}


def test_reserved_is_bounded_by_what_is_left() -> None:
    account = AgentAccount("a", "m", Decimal(1))
    account.begin("1", Decimal("0.7"))
    account.begin("2", Decimal("0.7"))
    assert account.reserved_usd == 1
    account.settle("1", result(Decimal("0.6")), Use.USEFUL)
    assert account.reserved_usd == Decimal("0.4")


def test_an_unknown_price_reserves_all_that_is_left() -> None:
    account = AgentAccount("a", "m", Decimal(1))
    account.begin("1", None)
    assert account.reserved_usd == 1


def test_a_call_waits_for_room_only_where_others_are_in_flight() -> None:
    account = AgentAccount("a", "m", Decimal(1))
    assert account.has_room(Decimal(5)), "without others, the gateway decides"
    account.begin("1", Decimal("0.7"))
    assert not account.has_room(Decimal("0.4"))
    assert account.has_room(Decimal("0.3"))


def test_a_lost_call_that_was_billed_is_found_in_the_ledger() -> None:
    account = AgentAccount("a", "m", Decimal(1))
    account.begin("lost", Decimal("0.1"))
    account.fail("lost", Decimal(0), may_be_billed=True)
    assert account.reserved_usd == Decimal("0.1")
    assert account.spent_usd == 0
    account.read_back(ledger(account, {"lost": Decimal("0.05")}))
    assert account.report().failed_attempts_usd == Decimal("0.05")
    assert account.reserved_usd == 0


def test_a_lost_call_stays_reserved_while_the_gateway_holds_its_money() -> None:
    account = AgentAccount("a", "m", Decimal(1))
    account.begin("lost", Decimal("0.1"))
    account.fail("lost", Decimal(0), may_be_billed=True)
    account.read_back(ledger(account, {}, reserved="0.1"))
    assert account.reserved_usd == Decimal("0.1")


def test_a_call_in_flight_is_not_counted_twice_when_the_ledger_is_read_early() -> None:
    account = AgentAccount("a", "m", Decimal(1))
    account.begin("k", Decimal("0.1"))
    account.read_back(ledger(account, {"k": Decimal("0.05")}))
    account.settle("k", result(Decimal("0.05")), Use.USEFUL)
    assert account.spent_usd == Decimal("0.05")


def test_agreement_is_line_by_line() -> None:
    account = AgentAccount("a", "m", Decimal(1))
    for key, cost in (("1", "0.1"), ("2", "0.2")):
        account.begin(key, None)
        account.settle(key, result(Decimal(cost)), Use.USEFUL)
    right = {"1": Decimal("0.1"), "2": Decimal("0.2")}
    assert account.agrees_with(ledger(account, right))
    assert not account.agrees_with(ledger(account, {"1": Decimal("0.2"), "2": Decimal("0.1")}))
    assert not account.agrees_with(ledger(account, {"1": Decimal("0.1")}))
    assert not account.agrees_with(ledger(account, right, reserved="0.1"))


def test_what_a_task_has_cost_includes_what_was_read_back() -> None:
    account = AgentAccount("a", "m", Decimal(1))
    for key, task in (("paid", "a"), ("lost", "b"), ("own", None)):
        account.begin(key, Decimal("0.1"), task)
    for key in ("paid", "own"):
        account.settle(key, result(Decimal("0.1")), Use.USEFUL)
    account.fail("lost", Decimal(0), may_be_billed=True)
    assert account.charges.by_task == {"a": Decimal("0.1")}
    charges = {key: Decimal("0.1") for key in ("paid", "own")}
    account.read_back(ledger(account, {**charges, "lost": Decimal("0.05"), "?": Decimal("0.3")}))
    assert account.charges.by_task == {"a": Decimal("0.1"), "b": Decimal("0.05")}
    assert account.spent_usd == Decimal("0.55"), "with what belongs to no task"


def test_a_charge_of_an_unknown_call_is_discarded_work() -> None:
    account = AgentAccount("a", "m", Decimal(1))
    account.read_back(ledger(account, {"of a run that was reset": Decimal("0.3")}))
    report = account.report()
    assert (report.discarded_usd, report.failed_attempts_usd) == (
        Decimal("0.3"),
        Decimal(0),
    )


@pytest.mark.parametrize("continues", [False, True])
def test_discarded_work_that_a_run_takes_up_again_is_counted_once(continues: bool) -> None:
    """After a restored backup, the history is older than the ledger: a call that the run has yet to
    make is in it already. Its answer comes from the gateway's store."""
    account = AgentAccount("a", "m", Decimal(1))
    account.begin("known", Decimal("0.1"), "first")
    account.settle("known", result(Decimal("0.1")), Use.USEFUL)
    charges = {"known": Decimal("0.1"), "ahead": Decimal("0.2"), "lost": Decimal("0.05")}
    account.read_back(ledger(account, charges))
    assert account.report().discarded_usd == Decimal("0.25")
    if continues:
        account.continue_with([])
    account.begin("ahead", Decimal("0.2"), "second")
    stored = result(Decimal("0.2")).model_copy(update={"replayed": True})
    account.settle("ahead", stored, Use.USEFUL)
    account.read_back(ledger(account, charges))
    account.read_back(ledger(account, {}))  # without its lines, as where the sums agree
    report = account.report()
    assert (report.spent_usd, report.discarded_usd) == (Decimal("0.35"), Decimal("0.05"))
    assert account.charges.by_task["second"] == Decimal("0.2")
    assert account.agrees_with(ledger(account, charges))


def test_a_tools_charge_that_a_run_takes_up_again_is_counted_once() -> None:
    account = AgentAccount("a", "m", Decimal(1))
    charges = {"tool": Decimal("0.2")}
    account.read_back(ledger(account, charges))
    account.begin_tool("tool", Decimal("0.2"), "task")
    account.settle_tool("tool", Decimal("0.2"))
    assert (account.spent_usd, account.tools_usd) == (Decimal("0.2"), Decimal("0.2"))
    assert account.agrees_with(ledger(account, charges))


def test_a_raised_limit_wakes_an_exhausted_agent() -> None:
    account = AgentAccount("a", "m", Decimal(1))
    account.exhaust()
    account.limit(Decimal(2))
    assert account.status is AgentStatus.IDLE


def test_the_worst_case_is_rounded_up_and_unknown_without_a_price() -> None:
    price = ModelPrice(model="m", input_usd=Decimal("0.1"), output_usd=Decimal("0.2"))
    bound = worst_case_usd(0, 1, price)
    assert bound == Decimal("0.000039"), "384 tokens of allowance and one of answer, rounded up"
    assert worst_case_usd(0, 1, ModelPrice(model="m")) is None


def test_totals_are_sums() -> None:
    first, second = AgentAccount("a", "m", Decimal(1)), AgentAccount("b", "m", Decimal(2))
    first.begin("1", None)
    first.settle("1", result(Decimal("0.5")), Use.USEFUL)
    total = Totals.of([first.report(), second.report()])
    assert (total.budget_usd, total.spent_usd, total.remaining_usd, total.calls) == (
        Decimal(3),
        Decimal("0.5"),
        Decimal("2.5"),
        1,
    )


def test_the_cost_of_failed_attempts_is_counted_as_failed() -> None:
    account = AgentAccount("a", "m", Decimal(1))
    account.begin("1", None)
    paid_twice = result(Decimal("0.1")).model_copy(update={"failed_attempts_usd": Decimal("0.02")})
    account.settle("1", paid_twice, Use.USEFUL)
    report = account.report()
    assert (report.useful_usd, report.failed_attempts_usd) == (Decimal("0.1"), Decimal("0.02"))
    assert account.agrees_with(ledger(account, {"1": Decimal("0.12")}))


def test_a_charge_that_was_read_back_is_not_counted_again_with_its_answer() -> None:
    """A call was paid, its worker died, and the next attempt was refused: the call is made again,
    and gets the stored answer."""
    account = AgentAccount("a", "m", Decimal(1))
    account.begin("k", Decimal("0.1"))
    account.withdraw("k", may_be_billed=True)
    assert account.report().reserved_usd == Decimal("0.1")
    books = ledger(account, {"k": Decimal("0.05")})
    account.read_back(books)
    assert account.agrees_with(books)
    assert account.report().reserved_usd == 0
    account.begin("k", Decimal("0.1"))
    account.settle("k", result(Decimal("0.05")), Use.USEFUL)
    assert account.agrees_with(books)
    report = account.report()
    assert (report.useful_usd, report.failed_attempts_usd) == (Decimal("0.05"), Decimal(0))
    assert (report.calls, report.failed_calls) == (1, 0)


@given(
    cost=MICROS,
    before=st.lists(st.sampled_from(["reported", "unknown", "read back"]), max_size=5),
    ends=st.sampled_from(["answer", "failure", "nothing"]),
)
def test_an_answer_that_the_gateway_has_stored_is_counted_once(
    cost: Decimal, before: list[str], ends: str
) -> None:
    """Activities before it may have failed with the same stored answer, and may have said so."""
    account = AgentAccount("a", "m", Decimal(1_000_000))
    books: dict[str, Decimal] = {}
    for each in before:
        if each == "read back":
            account.read_back(ledger(account, books))
            continue
        books = {"k": cost}
        account.begin("k", cost)
        reported = each == "reported" and not account.spent_usd  # later ones get it as replayed
        account.interrupt("k", cost if reported else Decimal(0), may_be_billed=True)
    if ends != "nothing":
        books = {"k": cost}
        account.begin("k", cost)
        if ends == "answer":
            replayed = result(cost).model_copy(update={"replayed": True})
            account.settle("k", replayed, Use.USEFUL)
        else:
            account.fail("k", Decimal(0), may_be_billed=True)
    account.close()
    account.read_back(ledger(account, books))
    assert account.agrees_with(ledger(account, books))


def test_a_ledger_read_before_a_call_was_lost_does_not_settle_it() -> None:
    account = AgentAccount("a", "m", Decimal(1))
    for key in ("k1", "k2"):
        account.begin(key, Decimal("0.1"))
    account.fail("k1", Decimal(0), may_be_billed=True)
    lost_then = tuple(account.lost)
    answer = ledger(account, {})
    account.fail("k2", Decimal(0), may_be_billed=True)
    account.read_back(answer, lost_then)
    assert account.report().reserved_usd == Decimal("0.1"), "the second may still be billed"


WORDS = st.lists(st.sampled_from(["Demand", "grew", "by", "seven", "percent", "é"]), min_size=1)
SENTENCES = st.lists(WORDS.map(lambda words: f"{' '.join(words).capitalize()} again."), max_size=30)


@given(sources=st.lists(SENTENCES.map(" ".join), min_size=1, max_size=4))
def test_the_bound_of_a_call_for_quotes_includes_their_schema(sources: list[str]) -> None:
    """The gateway bounds a call by the bytes of its body: what is shown as reserved is no less."""
    named = tuple(Source(name=f"sources/{n}.md", text=text) for n, text in enumerate(sources))
    call = CallRequest(
        idempotency_key="k",
        account=AccountRef(agent="a", account_id="1", sealed_key="s"),
        task="facts",
        model="m",
        max_tokens=400,
        system="You are: Researcher.",
        ask="Quote.",
        sources=named,
        output="findings",
    )
    allowance = MESSAGE_ALLOWANCE_TOKENS * MESSAGES_PER_CALL
    assert text_bytes(call) + allowance >= len(body(call))


def test_what_may_have_been_billed_is_the_highest_that_the_provider_told() -> None:
    """The provider counts; an answer or a ledger may arrive late. It is not a part of the spend."""
    account = AgentAccount("a", "m", Decimal(1))
    account.begin("1", None)
    told = {"account_possibly_billed_calls": 2, "account_possibly_billed_usd": Decimal("0.5")}
    account.settle("1", result(Decimal("0.25")).model_copy(update=told), Use.USEFUL)
    late = ledger(account, {"1": Decimal("0.25")}).model_copy(
        update={"possibly_billed_calls": 1, "possibly_billed_usd": Decimal("0.25")}
    )
    account.read_back(late)
    report = account.report()
    assert (report.possibly_billed_calls, report.possibly_billed_usd) == (2, Decimal("0.5"))
    assert report.spent_usd == Decimal("0.25")
    assert account.agrees_with(late)
    assert Totals.of([report, report]).possibly_billed_calls == 4
