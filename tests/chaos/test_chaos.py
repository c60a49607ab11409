"""A small storm, and the judge of storms on trial: each broken promise is seen."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.chaos.__main__ import storm
from tests.chaos.facts import (
    AccountFacts,
    Attempt,
    BudgetChange,
    Charged,
    Decision,
    Effect,
    Facts,
    GivenUp,
    Recorded,
    RunFacts,
    Span,
)
from tests.chaos.processes import Victim
from tests.chaos.schedule import (
    FATES,
    HARMLESS_AFTER,
    LATE_FATES,
    LEASE_SECONDS,
    LONG_AWAY,
    SECOND_GATEWAY,
    SHAPES,
    TEXTS,
    fate,
    keeps_texts_in_gateway,
    make_storm,
)
from tests.chaos.strikes import MOST_GATEWAYS, GatewayStrikes
from tests.chaos.teams import make_request
from tests.chaos.upstream import DOWN, RULES, holes
from tests.chaos.verdict import judge

KEY = "acc:k"


@pytest.mark.timeout(500)
async def test_a_small_storm_breaks_no_promise() -> None:
    verdict = await storm(13, seed=2, seconds=8, quiet=True)
    assert verdict.runs == 13
    assert set(verdict.effects) == {"charge", "note"}
    assert sum(verdict.kills.values()) + sum(verdict.freezes.values()) > 0
    assert verdict.holds, (verdict.zeros(), verdict.lines())


def test_a_seed_repeats_its_storm() -> None:
    assert make_storm(7, 30, 20) == make_storm(7, 30, 20)
    assert make_storm(7, 30, 20) != make_storm(8, 30, 20)
    assert fate(7, "r.t", 1) == fate(7, "r.t", 1)


def test_a_large_storm_has_everything_in_it() -> None:
    plan = make_storm(1, 100, 120)
    assert {each.shape for each in plan.runs} == set(SHAPES)
    assert {(e.kind, e.victim.partition("-")[0]) for e in plan.processes} >= {
        (kind, victim)
        for kind in ("kill", "freeze")
        for victim in ("worker", "gateway", "temporal")
    }
    assert {each.kind for each in plan.money} == {"top_up", "cut", "transfer", "cancel"}
    assert {(e.kind, e.victim) for e in plan.processes} >= {
        ("down", "upstream"),
        ("fill", "gateway"),
        ("fill", "temporal"),
        ("remove", "store"),
    }
    assert not keeps_texts_in_gateway(1)
    assert ("fill", TEXTS) in {(e.kind, e.victim) for e in plan.processes}
    assert SECOND_GATEWAY not in {e.victim for e in plan.processes}
    both = make_storm(2, 100, 600).processes
    assert {(e.kind, e.victim) for e in both} >= {
        (kind, victim) for kind in ("kill", "freeze") for victim in ("gateway", SECOND_GATEWAY)
    }
    frozen = [e.seconds > LEASE_SECONDS for e in both if e.victim == SECOND_GATEWAY]
    assert any(frozen)
    assert not all(frozen)
    longer = make_storm(1, 100, 600)
    assert {e.seconds for e in longer.processes} >= set(LONG_AWAY.values())
    assert set(RULES) == {*FATES, *LATE_FATES, DOWN}
    assert fate(1, "r.t", HARMLESS_AFTER + 1)[0] == "ok"


def test_every_shape_is_a_team() -> None:
    for planned in make_storm(1, len(SHAPES), 10).runs:
        request, expected = make_request(planned, "run")
        assert request.team.tasks
        assert expected


def attempt(
    at: float, name: str = "ok", *, whole: bool = True, by: str = "gateway", seconds: float = 0.1
) -> Attempt:
    return Attempt(KEY, "r.t", name, at, at + seconds, True, whole, by)


def facts() -> Facts:
    """One run, one call: answered, charged, recorded, reported."""
    run = RunFacts(
        id="r",
        status="completed",
        expected=frozenset({"completed"}),
        reported={"a": Decimal("0.000010")},
        queried={"a": Decimal("0.000010")},
        ledger_agrees="yes",
        scheduled=frozenset({KEY}),
        recorded=(Recorded(KEY, "r.t", 10.5, True),),
    )
    return Facts(
        attempts=[attempt(10.0)],
        ledger=[Charged("acc", "k", 10.2, 10)],
        budgets=[BudgetChange("acc", 1.0, 100)],
        accounts=[AccountFacts("acc", "r", "a", "disabled", 100, 10, 0)],
        runs=[run],
    )


def broken(found: Facts) -> set[str]:
    return {name for name, value in judge(found).zeros().items() if value}


def test_good_facts_hold() -> None:
    assert broken(facts()) == set()


@pytest.mark.parametrize("victim", ["gateway", SECOND_GATEWAY, "worker-1"])
def test_only_a_killed_gateway_explains_a_repeat(victim: str) -> None:
    found = facts()
    found.attempts = [attempt(8.0), attempt(10.0, by=SECOND_GATEWAY)]
    found.spans = [Span(victim, "kill", 8.05, 8.4)]
    found.given_up = [GivenUp(KEY, "gateway_died", 8.4, 50)]
    assert broken(found) == ({"upstream_paid_twice"} if victim == "worker-1" else set())
    if victim != "worker-1":
        assert judge(found).upstream_repeated == {"gateway_killed": 1}
        found.given_up = []
        assert broken(found) == {"upstream_paid_twice", "possibly_billed_wrong"}, "and noted it"


@pytest.mark.parametrize(("after", "whole"), [(0.5, False), (0.5, True), (3, False)])
def test_a_request_is_received_after_its_gateway_was_killed(after: float, *, whole: bool) -> None:
    """It was in the socket; then its answer cannot be written."""
    found = facts()
    found.attempts = [attempt(8.0, whole=whole), attempt(10.0)]
    found.spans = [Span("gateway", "kill", 8.0 - after - 0.1, 8.0 - after)]
    found.given_up = [GivenUp(KEY, "gateway_died", 8.0, 50)]
    explained = after < 1 and not whole
    assert broken(found) == (set() if explained else {"upstream_paid_twice"})


def test_another_gateways_death_explains_nothing() -> None:
    found = facts()
    found.attempts = [attempt(8.0), attempt(10.0)]
    found.spans = [Span(SECOND_GATEWAY, "kill", 8.05, 8.4)]
    found.given_up = [GivenUp(KEY, "gateway_died", 8.4, 50)]
    assert broken(found) == {"upstream_paid_twice"}


@pytest.mark.parametrize("seconds", [0.3, 2.6])
def test_an_upstream_that_stood_still_ran_into_the_gateways_limit(seconds: float) -> None:
    found = facts()
    found.attempts = [attempt(6.0, seconds=seconds + 0.2), attempt(10.0)]
    found.given_up = [GivenUp(KEY, "upstream_timeout", 6.0 + seconds, 50)]
    found.decisions = [Decision("r", "t", 9.0)]
    assert broken(found) == (set() if seconds > 2.5 else {"upstream_paid_twice"})


async def test_the_gateway_that_an_answer_was_written_to_is_struck_before_it_is_charged() -> None:
    struck: list[str] = []

    class Recorded(Victim):
        async def kill(self, away_seconds: float) -> None:
            struck.append(f"kill {self.name}")

        async def freeze(self, seconds: float) -> None:
            struck.append(f"freeze {self.name} for {seconds:g} s")

    victims = {
        name: Recorded(name, (), {}, Path("unused.log"), Path()) for name in ("one", "other")
    }
    strikes = GatewayStrikes(1, victims, 8)
    for number in range(1_000):
        await strikes.answered(["one", "other", "nobody", ""][number % 4])
    assert len(struck) == MOST_GATEWAYS
    assert {each.split()[0] for each in struck} == {"kill", "freeze"}
    assert {each.split()[1] for each in struck} <= {"one", "other"}


@pytest.mark.parametrize("name", ["malformed", "disconnect_middle", "overdue_cut"])
def test_a_broken_answer_explains_one_repeat(name: str) -> None:
    found = facts()
    found.attempts = [attempt(8.0, name, whole=False), attempt(10.0)]
    found.given_up = [GivenUp(KEY, "upstream_broke_off", 8.2, 50)]
    assert broken(found) == set()
    assert judge(found).upstream_repeated == {"upstream_broke_off": 1}


@pytest.mark.parametrize("name", ["late", "endless"])
def test_a_call_that_is_too_slow_is_made_again_only_when_a_person_says_so(name: str) -> None:
    found = facts()
    found.attempts = [attempt(5.0, name, whole=False), attempt(10.0)]
    found.given_up = [GivenUp(KEY, "upstream_timeout", 8.0, 50)]
    for decisions in ([], [Decision("r", "t", 7.0)], [Decision("r", "u", 9.0)]):
        found.decisions = decisions
        assert broken(found) == {"repeated_unasked"}
    found.decisions = [Decision("r", "t", 9.0)]
    assert broken(found) == set()


def test_what_may_have_been_billed_is_shown_everywhere() -> None:
    found = facts()
    found.attempts.insert(0, attempt(8.0, "malformed", whole=False))
    found.given_up = [GivenUp(KEY, "upstream_broke_off", 8.2, 50)]
    right = 1, Decimal("0.00005")
    for place in ("query", "report", "charges"):
        shown = {"query": right, "report": right, "charges": right}
        found.runs = [replace(found.runs[0], possibly_billed=shown)]
        assert broken(found) == set()
        shown = {**shown, place: (1, Decimal("0.00004"))}
        found.runs = [replace(found.runs[0], possibly_billed=shown)]
        assert broken(found) == {"possibly_billed_wrong"}


def test_a_call_that_was_charged_is_never_made_again() -> None:
    found = facts()
    found.attempts.append(attempt(10.3))
    found.spans = [Span("gateway", "kill", 10.25, 10.3)]
    found.given_up = [GivenUp(KEY, "gateway_died", 10.3, 50)]
    assert broken(found) == {"upstream_paid_twice"}


def test_a_recorded_result_is_never_asked_for_again() -> None:
    found = facts()
    found.attempts.append(replace(attempt(11.0, "error"), key="acc:other", worked=False))
    found.runs = [replace(found.runs[0], scheduled=frozenset({KEY, "acc:other"}))]
    assert broken(found) == {"results_lost"}


def test_each_other_promise_is_seen_to_break() -> None:
    found = facts()
    found.runs = [replace(found.runs[0], status="failed")]
    assert broken(found) == {"results_lost"}
    found = facts()
    found.ledger.append(Charged("acc", "k", 10.4, 0))
    assert broken(found) == {"charged_twice"}
    found = facts()
    found.budgets = [BudgetChange("acc", 1.0, 9), BudgetChange("acc", 20.0, 91)]
    assert judge(found).overspent_usd == Decimal("0.000001"), "a later top-up is no excuse"
    found = facts()
    found.runs = [replace(found.runs[0], queried={"a": Decimal("0.000007")})]
    assert judge(found).spend_mismatch_usd == Decimal("0.000003")
    found = facts()
    found.accounts = [replace(found.accounts[0], reserved=5, status="active")]
    assert broken(found) == {"reservations_open", "accounts_open"}
    for limit, is_wrong in (("0.000100", False), ("0.000099", True)):
        found = facts()
        found.runs = [replace(found.runs[0], limits={"a": Decimal(limit)})]
        assert broken(found) == ({"limits_wrong"} if is_wrong else set())
    found = facts()
    found.keys_found = ["SEALING_KEY in worker.log"]
    found.stores_made_anew = ["texts was made while the store was away"]
    found.processes_left = ["7: python program.py"]
    assert broken(found) == {"keys_found", "stores_made_anew", "processes_left"}


def test_a_history_that_does_not_replay_is_seen() -> None:
    found = facts()
    found.runs = [replace(found.runs[0], replay_failures=("execution 0: TMPRL1100",))]
    assert broken(found) == {"histories_not_replayed"}
    assert judge(found).lines() == ["histories_not_replayed: r, execution 0: TMPRL1100"]


def effect(tool: str = "charge", key: str = "c:1.1") -> Effect:
    return Effect(tool, 1, "r.t", key, 10.0)


def test_an_effect_that_happens_twice_is_seen() -> None:
    found = facts()
    found.runs = [replace(found.runs[0], unanswered=frozenset({"c:1.1", "c:2.1"}))]
    found.effects = [effect(), effect("note"), effect("note")]
    assert broken(found) == set(), "an idempotent one may be called again with its key"
    found.effects = [effect(), effect()]
    assert broken(found) == {"effects_twice"}
    found.effects = [effect("note"), effect("note", "c:2.1")]
    assert broken(found) == {"effects_twice"}, "and not with another one"


def test_an_effect_without_a_charge_is_seen() -> None:
    found = facts()
    found.effects = [effect()]
    assert broken(found) == {"effects_unpaid"}
    found.ledger.append(Charged("acc", "c:1.1", 10.3, 0, "tool"))
    assert broken(found) == set()
    found.ledger.append(Charged("acc", "c:1.1", 10.4, 0, "tool"))
    assert broken(found) == {"charged_twice"}


def test_a_call_without_its_result_is_a_hole_in_its_conversation() -> None:
    asked = {"role": "assistant", "tool_calls": [{"id": "a"}, {"id": "b"}]}
    a, b = ({"role": "tool", "tool_call_id": each} for each in "ab")
    assert list(holes({"messages": [asked, a, b, {"role": "user"}]})) == []
    for messages in ([asked, a], [asked, b, a], [asked, a, b, b], [asked, {"role": "user"}, a, b]):
        assert list(holes({"messages": messages})), messages
    found = facts()
    found.holes = ["r.t: message 1"]
    assert broken(found) == {"conversations_holed"}
