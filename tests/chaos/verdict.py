"""Pure: the verdict on the facts of a storm. Everything under `violations` must be empty."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

from tests.chaos.facts import Attempt, Charged, Effect, Facts, GivenUp, Span
from tests.chaos.schedule import SHORT_TIMEOUT

KILLED, BROKE_OFF, FROZEN = "gateway_killed", "upstream_broke_off", "gateway_frozen"
FULL = "gateway_disk_full"
ONCE = "charge"
"""The tool whose effect must not happen twice."""
SCOPED = ".scoped"
"""In the markers of calls that a program makes: their keys are the gateway's."""
TOO_LATE = frozenset({"late", "endless"})
OWN_LIMITS = frozenset({"upstream_timeout", "upstream_too_long"})
"""Causes for which the gateway does not repeat a call unasked."""
LEAST_LIMIT = SHORT_TIMEOUT - 0.1
"""The gateway's shortest limit for a call, in seconds, less what its clock may differ."""
SOCKET_SECONDS = 2.0
BROKEN = frozenset({"disconnect_before", "disconnect_middle", "overdue_cut", "malformed", "empty"})


@dataclass
class Verdict:
    """`violations`: by the name of the figure, one line for each. `usd`: those two sums."""

    runs: int
    calls: int
    kills: dict[str, int]
    freezes: dict[str, int]
    full_disks: dict[str, int]
    stores_removed: int
    unexpected_exits: dict[str, int]
    executions: int
    endings: dict[str, int]
    fates: dict[str, int]
    upstream_repeated: dict[str, int]
    given_up: dict[str, int]
    results_lost: list[str]
    upstream_paid_twice: list[str]
    repeated_unasked: list[str]
    possibly_billed_wrong: list[str]
    charged_twice: list[str]
    overspent_usd: Decimal
    spend_mismatch_usd: Decimal
    reservations_open: int
    accounts_open: list[str]
    limits_wrong: list[str]
    keys_found: list[str]
    effects: dict[str, int]
    effects_twice: list[str]
    effects_unpaid: list[str]
    conversations_holed: list[str]
    histories_not_replayed: list[str]
    stores_made_anew: list[str]
    processes_left: list[str]
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not any(self.zeros().values())

    def zeros(self) -> dict[str, Any]:
        """What must be zero."""
        return {
            "results_lost": len(self.results_lost),
            "upstream_paid_twice": len(self.upstream_paid_twice),
            "repeated_unasked": len(self.repeated_unasked),
            "possibly_billed_wrong": len(self.possibly_billed_wrong),
            "charged_twice": len(self.charged_twice),
            "overspent_usd": str(self.overspent_usd) if self.overspent_usd else 0,
            "spend_mismatch_usd": str(self.spend_mismatch_usd) if self.spend_mismatch_usd else 0,
            "reservations_open": self.reservations_open,
            "accounts_open": len(self.accounts_open),
            "limits_wrong": len(self.limits_wrong),
            "keys_found": len(self.keys_found),
            "effects_twice": len(self.effects_twice),
            "effects_unpaid": len(self.effects_unpaid),
            "conversations_holed": len(self.conversations_holed),
            "histories_not_replayed": len(self.histories_not_replayed),
            "stores_made_anew": len(self.stores_made_anew),
            "processes_left": len(self.processes_left),
        }

    def lines(self) -> list[str]:
        """The details of the figures that are not zero."""
        named = {
            "results_lost": self.results_lost,
            "upstream_paid_twice": self.upstream_paid_twice,
            "repeated_unasked": self.repeated_unasked,
            "possibly_billed_wrong": self.possibly_billed_wrong,
            "charged_twice": self.charged_twice,
            "accounts_open": self.accounts_open,
            "limits_wrong": self.limits_wrong,
            "keys_found": self.keys_found,
            "effects_twice": self.effects_twice,
            "effects_unpaid": self.effects_unpaid,
            "conversations_holed": self.conversations_holed,
            "histories_not_replayed": self.histories_not_replayed,
            "stores_made_anew": self.stores_made_anew,
            "processes_left": self.processes_left,
        }
        return [f"{name}: {line}" for name, lines in named.items() for line in lines] + self.notes


def judge(facts: Facts) -> Verdict:
    repeated, paid_twice = _repeats(facts)
    overspent, overspent_notes = _overspent(facts)
    mismatch, mismatch_notes = _mismatch(facts)
    reserved = [each for each in facts.accounts if each.reserved]
    return Verdict(
        runs=len(facts.runs),
        calls=len(facts.attempts),
        kills=dict(Counter(span.victim for span in facts.spans if span.kind == "kill")),
        freezes=dict(Counter(span.victim for span in facts.spans if span.kind == "freeze")),
        full_disks=dict(Counter(span.victim for span in facts.spans if span.kind == "fill")),
        stores_removed=sum(span.kind == "remove" for span in facts.spans),
        executions=sum(run.executions for run in facts.runs),
        unexpected_exits={name: n for name, n in facts.unexpected_exits.items() if n},
        endings=dict(Counter(run.status for run in facts.runs)),
        fates=dict(Counter(attempt.fate for attempt in facts.attempts)),
        upstream_repeated=dict(repeated),
        given_up=dict(Counter(each.cause for each in facts.given_up)),
        results_lost=[*_lost_endings(facts), *_done_again(facts)],
        upstream_paid_twice=paid_twice,
        repeated_unasked=list(_repeated_unasked(facts)),
        possibly_billed_wrong=[*_hidden(facts), *_shown_wrong(facts)],
        charged_twice=list(_charged_twice(facts)),
        overspent_usd=overspent,
        spend_mismatch_usd=mismatch,
        reservations_open=max(len(reserved), facts.pending),
        accounts_open=list(_left_open(facts)),
        limits_wrong=list(_limits_wrong(facts)),
        keys_found=facts.keys_found,
        effects=dict(Counter(effect.tool for effect in facts.effects)),
        effects_twice=list(_effects_twice(facts)),
        effects_unpaid=list(_effects_unpaid(facts)),
        conversations_holed=facts.holes,
        histories_not_replayed=[
            f"{run.id}, {failure}" for run in facts.runs for failure in run.replay_failures
        ],
        stores_made_anew=facts.stores_made_anew,
        processes_left=facts.processes_left,
        notes=[
            *overspent_notes,
            *mismatch_notes,
            *(f"reservations_open: {each.run} {each.agent}: {each.reserved}" for each in reserved),
        ],
    )


def _lost_endings(facts: Facts) -> Iterator[str]:
    for run in facts.runs:
        if run.status not in run.expected:
            wanted = " or ".join(sorted(run.expected))
            yield f"{run.id} is {run.status}, not {wanted}; {run.failure}"


def _done_again(facts: Facts) -> Iterator[str]:
    """Calls that a history records as completed and the upstream received again."""
    by_key: dict[str, float] = {}
    by_marker: dict[str, float] = {}
    for run in facts.runs:
        for call in run.recorded:
            by_key[call.key] = call.at
            if call.good:
                by_marker[call.marker] = min(call.at, by_marker.get(call.marker, call.at))
    for each in facts.attempts:
        recorded = min(by_key.get(each.key, 9e99), by_marker.get(each.marker, 9e99))
        if each.received > recorded:
            late = each.received - recorded
            yield f"{each.marker} was asked again {late:.3f} s after its result ({each.key})"


def _repeats(facts: Facts) -> tuple[Counter[str], list[str]]:
    """Requests that the upstream answered more than once: by cause, and those without one."""
    causes: Counter[str] = Counter()
    wrong = []
    attempts: defaultdict[str, list[Attempt]] = defaultdict(list)
    for each in facts.attempts:
        attempts[each.key].append(each)
    charges = {f"{charge.account}:{charge.key}": charge for charge in facts.ledger}
    known = frozenset[str]().union(*(run.scheduled for run in facts.runs))
    known |= {each.key for each in facts.attempts if SCOPED in each.marker}
    noted: defaultdict[str, list[GivenUp]] = defaultdict(list)
    for note in facts.given_up:
        noted[note.key].append(note)
    gateway = [span for span in facts.spans if span.victim.startswith("gateway")]
    for key, ones in attempts.items():
        if key not in known:
            wrong.append(f"{ones[0].marker}: {key} is the key of no call in any history")
        ones.sort(key=lambda each: each.received)
        explained = 0
        for one, following in pairwise(ones):
            cause, why = _cause(one, following, charges.get(key), gateway, noted[key])
            if cause is not None:
                causes[cause] += 1
                explained += 1
            elif why:
                wrong.append(f"{one.marker} ({key}, {one.fate}): {why}")
        if explained > len(noted[key]):
            noted_times = len(noted[key])
            wrong.append(f"{ones[0].marker} ({key}): repeated {explained} ×, noted {noted_times} ×")
    return causes, wrong


def _cause(
    one: Attempt,
    following: Attempt,
    charge: Charged | None,
    gateway: Sequence[Span],
    noted: Sequence[GivenUp],
) -> tuple[str | None, str]:
    """The reason for a repeated request, or the violation if there is none."""
    if charge is not None and charge.at < following.received:
        return None, f"asked again {following.received - charge.at:.3f} s after it was charged"
    if one.fate in BROKEN | TOO_LATE:
        return BROKE_OFF, ""
    if not one.worked:
        return None, ""  # refused, so nothing was paid for
    if any(
        note.cause in OWN_LIMITS and one.received + LEAST_LIMIT < note.at < following.received
        for note in noted
    ):
        return BROKE_OFF, ""  # the storm stood still, and so the upstream in it did
    for kind, cause in (("kill", KILLED), ("freeze", FROZEN), ("fill", FULL)):
        for span in gateway:
            if kind != "fill" and span.victim not in (one.by, following.by):
                continue
            # A request can outlive its gateway in the socket: received after the new start.
            outlives = SOCKET_SECONDS if kind == "kill" and not one.whole else 0
            ended = span.end + outlives
            if span.kind == kind and span.start <= following.received and ended >= one.received:
                return cause, ""
    took, gap = one.ended - one.received, following.received - one.ended
    near = [
        f"{span.kind} {span.victim} from {span.start - one.received:.3f}"
        f" to {span.end - one.received:.3f} s"
        for span in gateway
        if span.end >= one.received - 10 and span.start <= following.received + 10
    ]
    return None, (
        f"answered by {took:.3f} s, and asked again by {following.by} {gap:.3f} s later, for no"
        f" reason that is known (asked by {one.by}, whole: {one.whole}; since it was received:"
        f" {', '.join(near) or 'nothing happened to a gateway'}; noted: {noted})"
    )


def _repeated_unasked(facts: Facts) -> Iterator[str]:
    """Calls that the gateway had ended at a limit of its own, and that were made again although
    nobody had asked for that."""
    attempts: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in facts.attempts:
        attempts[attempt.key].append(attempt)
    for each in facts.given_up:
        if each.cause not in OWN_LIMITS:
            continue
        later = [one for one in attempts[each.key] if one.received > each.at]
        if not later:
            continue
        following = min(later, key=lambda one: one.received)
        run, _, task = following.marker.rpartition(".")
        subject = "answer" if task == "final" else task
        if not any(
            (decision.run, decision.subject) == (run, subject)
            and each.at < decision.at < following.received
            for decision in facts.decisions
        ):
            late = following.received - each.at
            yield f"{following.marker} ({each.key}) {late:.3f} s after {each.cause}"


def _hidden(facts: Facts) -> Iterator[str]:
    """Calls that the upstream has worked on, and that are neither charged nor noted."""
    worked = Counter(each.key for each in facts.attempts if each.worked)
    known = Counter(f"{each.account}:{each.key}" for each in facts.ledger if each.kind == "call")
    known.update(each.key for each in facts.given_up)
    for key, times in (worked - known).items():
        yield f"{key} may have been billed {times} × more than the gateway knows"


def _shown_wrong(facts: Facts) -> Iterator[str]:
    """What a run says may have been billed, where it is not what the gateway noted."""
    runs = {each.id: each.run for each in facts.accounts}
    noted: defaultdict[str, list[int]] = defaultdict(list)
    for each in facts.given_up:
        noted[runs[each.key.partition(":")[0]]].append(each.bound)
    for run in facts.runs:
        known = len(noted[run.id]), Decimal(sum(noted[run.id])).scaleb(-6)
        for place, shown in run.possibly_billed.items():
            if shown != known:
                yield f"{run.id}: its {place} has {shown}, the gateway {known}"
        for difference in run.differences:
            yield f"{run.id}: its charges have a line: {difference}"


def _charged_twice(facts: Facts) -> Iterator[str]:
    lines = Counter((charge.account, charge.key) for charge in facts.ledger)
    worked = {each.key for each in facts.attempts if each.worked}
    worked |= {f"{each.account}:{each.key}" for each in facts.ledger if each.kind == "tool"}
    for (account, key), count in lines.items():
        if count > 1:
            yield f"{account}:{key} is charged {count} times"
        if f"{account}:{key}" not in worked:
            yield f"{account}:{key} is charged, and the upstream never answered it"


def _effects_twice(facts: Facts) -> Iterator[str]:
    """A `once` tool that was called twice, and nobody has asked for that; and a call that was
    repeated under another key, so that no tool could know it again."""
    calls: defaultdict[tuple[str, str, int], list[Effect]] = defaultdict(list)
    for effect in facts.effects:
        calls[effect.tool, effect.task, effect.n].append(effect)
    for (tool, task, n), made in calls.items():
        keys = {effect.key for effect in made}
        if len(keys) > 1:
            yield f"{tool} {n} of {task} has the keys {sorted(keys)}"
        if tool == ONCE and len(made) > 1:
            yield f"{tool} {n} of {task} was done {len(made)} times"


def _effects_unpaid(facts: Facts) -> Iterator[str]:
    """Effects of tools with a price, in runs that have ended, without a line in the ledger.

    A person may skip a call that has had its effect, and nobody knows: that one costs nothing.
    """
    paid = {charge.key for charge in facts.ledger if charge.kind == "tool"}
    unanswered = frozenset[str]().union(*(run.unanswered for run in facts.runs))
    ended = {run.id for run in facts.runs if run.status == "completed"}
    for effect in facts.effects:
        run = effect.task.rpartition(".")[0]
        if run in ended and effect.key not in paid | unanswered:
            yield f"{effect.tool} {effect.n} of {effect.task} ({effect.key}) is not in the ledger"


def _left_open(facts: Facts) -> Iterator[str]:
    """Accounts that could still be spent from, of runs that have ended."""
    ended = {run.id for run in facts.runs if run.reported is not None}
    for account in facts.accounts:
        if account.run in ended and account.status != "disabled":
            yield f"{account.run} {account.agent} is {account.status}"


def _limits_wrong(facts: Facts) -> Iterator[str]:
    """Accounts with another limit than the last one that the run has set."""
    limits = {(each.run, each.agent): each.budget for each in facts.accounts}
    for run in facts.runs:
        for agent, usd in run.limits.items():
            if run.status == "completed" and usd.scaleb(6) != limits[run.id, agent]:
                yield f"{run.id} {agent}: {usd}, and its account {limits[run.id, agent]} micro-USD"


def _overspent(facts: Facts) -> tuple[Decimal, list[str]]:
    """The most that any account's spend was above its budget, at any of its charges."""
    worst, notes = 0, []
    moves: defaultdict[str, list[tuple[float, int, int]]] = defaultdict(list)
    for change in facts.budgets:
        moves[change.account].append((change.at, change.amount, 0))
    for charge in facts.ledger:
        moves[charge.account].append((charge.at, 0, charge.amount))
    accounts = {each.id: each for each in facts.accounts}
    for account, changes in moves.items():
        budget = spent = 0
        for _, more, charge_amount in sorted(changes, key=lambda move: move[0]):
            budget, spent = budget + more, spent + charge_amount
            if spent > budget:
                notes.append(f"overspent_usd: {account}: spent {spent}, budget {budget} micro-USD")
                worst = max(worst, spent - budget)
        known = accounts[account]
        if (known.budget, known.spent) != (budget, spent):
            notes.append(f"overspent_usd: {account}: its balance is not the sum of its books")
            worst = max(worst, abs(known.budget - budget), abs(known.spent - spent))
    return Decimal(worst).scaleb(-6), notes


def _mismatch(facts: Facts) -> tuple[Decimal, list[str]]:
    """The sum of all differences between what a run shows and the ledger."""
    ledger: Counter[tuple[str, str]] = Counter()
    owners = {each.id: (each.run, each.agent) for each in facts.accounts}
    for charge in facts.ledger:
        ledger[owners[charge.account]] += charge.amount
    total, notes = 0, []
    for run in facts.runs:
        if run.reported is None:
            continue
        if run.reported and run.ledger_agrees != "yes":
            notes.append(f"spend_mismatch_usd: {run.id}: ledger_agrees is {run.ledger_agrees!r}")
            total += 1
        for name, shown in (("query", run.queried), ("report", run.reported)):
            if shown is None:
                notes.append(f"spend_mismatch_usd: {run.id}: no answer to its query; {run.failure}")
                total += 1
            for agent, usd in (shown or {}).items():
                if usd.scaleb(6) != ledger[run.id, agent]:
                    booked = ledger[run.id, agent]
                    notes.append(
                        f"spend_mismatch_usd: {run.id} {agent}: {name} {usd}, ledger {booked} micro"
                    )
                    total += abs(int(usd.scaleb(6)) - booked)
    return Decimal(total).scaleb(-6), notes
