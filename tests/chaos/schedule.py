"""Pure: the events of a storm and their times, drawn from a seed, which repeats them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final, TypeVar

T = TypeVar("T")

SHAPES: Final = (
    *("fan", "chain", "repairs", "tiny", "skip", "fallback", "late", "fail", "approval"),
    *("long", "heavy", "tools", "scopes", "servers", "wide", "shrink"),
)

TEXTS: Final = "texts"
"""The store of large texts, and its disk."""
SHORT_TIMEOUT: Final = 1.2
"""Of an agent whose attempts end before the gateway's, in seconds."""
UPSTREAM_TIMEOUT: Final = 2.5
"""Of the gateway, in seconds: what takes longer is late."""
LEASE_SECONDS: Final = 6.0
"""Of the gateway's reservations."""

HARMLESS_AFTER: Final = 4
"""The upstream answers well from this request for a task on, so that every run can end."""

FATES: Final = {
    "ok": 50,
    "slow": 12,
    "short": 6,
    "late": 4,
    "error": 7,
    "rate_limited": 5,
    "disconnect_before": 4,
    "disconnect_middle": 4,
    "malformed": 4,
    "no_usage": 4,
    "empty": 3,
    "no_choices": 3,
}
"""How the upstream answers, by weight. `empty`: neither choices nor usage; `no_choices`: no
choices, and billed; `short`: an answer that is too short for a task that wants a long one."""

LATE_FATES: Final = {"ok": 2, "overdue": 4, "late": 3, "endless": 2, "overdue_cut": 3}
"""Of tasks with `.late` in their marker. `overdue` takes longer than an attempt of `SHORT_TIMEOUT`,
`late` longer than the gateway's limit, `endless` longer than the lease, and `overdue_cut` breaks
off after its attempt has ended."""

LATENCIES: Final = {
    "slow": (0.8, 1.8),
    "overdue": (SHORT_TIMEOUT + 0.2, UPSTREAM_TIMEOUT - 0.3),
    "overdue_cut": (SHORT_TIMEOUT + 0.2, UPSTREAM_TIMEOUT - 0.3),
    "late": (UPSTREAM_TIMEOUT + 0.4, UPSTREAM_TIMEOUT + 1.0),
    "endless": (LEASE_SECONDS + 1, LEASE_SECONDS + 3),
}
"""The least and the most seconds; of all others, up to half a second."""

PROCESS_EVENTS: Final = {
    ("kill", "worker"): 5,
    ("freeze", "worker"): 4,
    ("kill", "gateway"): 4,
    ("freeze", "gateway"): 3,
    ("kill", "temporal"): 2,
    ("freeze", "temporal"): 2,
    ("down", "upstream"): 2,
    ("fill", "gateway"): 1,
    ("fill", "temporal"): 1,
    ("remove", "store"): 2,
}
LONG_AWAY: Final = {("kill", "gateway"): 30.0, ("freeze", "gateway"): LEASE_SECONDS + 2}
"""How long one in `ONE_IN` of these events lasts, in seconds: a store that is gone for half a
minute, and a gateway that hangs for longer than its leases."""
ONE_IN: Final = 6
SECOND_GATEWAY: Final = "gateway-2"
SERVER_EVENTS: Final = {
    ("kill", "stdio_server"): 3,
    ("freeze", "stdio_server"): 1,
    ("kill", "http_server"): 3,
    ("freeze", "http_server"): 1,
}
"""Of the servers of tools: drawn apart from the others, and only where a run has such tools."""
MONEY_EVENTS: Final = {"top_up": 40, "cut": 30, "transfer": 22, "cancel": 8}


@dataclass(frozen=True)
class ProcessEvent:
    """`seconds`: how long it is frozen, stays away after SIGKILL, refuses all requests, has a full
    disk, or is removed."""

    at: float
    kind: str
    victim: str
    seconds: float


@dataclass(frozen=True)
class MoneyEvent:
    """`share` is of what there is at that moment; `agents` are places in the run's list."""

    at: float
    kind: str
    run: int
    agents: tuple[int, int]
    share: float
    as_signal: bool


@dataclass(frozen=True)
class PlannedRun:
    index: int
    at: float
    shape: str
    seed: int


@dataclass(frozen=True)
class Storm:
    seed: int
    seconds: float
    runs: tuple[PlannedRun, ...]
    processes: tuple[ProcessEvent, ...]
    money: tuple[MoneyEvent, ...]


def make_storm(seed: int, runs: int, seconds: float) -> Storm:
    """Runs start in the first two thirds; every shape is there; events fall throughout."""
    random = Random(f"storm:{seed}")
    planned = tuple(
        PlannedRun(
            index,
            random.uniform(0, seconds * 0.66),
            SHAPES[index % len(SHAPES)],
            random.getrandbits(32),
        )
        for index in range(runs)
    )
    processes = _process_events(random, seconds)
    if has_two_gateways(seed):
        processes = list(_of_both(seed, processes))
    processes += _server_events(seed, planned, seconds) + _text_events(seed, seconds)
    return Storm(
        seed,
        seconds,
        planned,
        tuple(processes),
        tuple(_money_events(random, planned, seconds)),
    )


def keeps_texts_in_gateway(seed: int) -> bool:
    """Otherwise they are in a directory, on a disk of their own."""
    return seed % 2 == 0


def has_two_gateways(seed: int) -> bool:
    """On one database, each with a worker of its own: then a gateway that hangs for longer than its
    lease loses its calls to the other one."""
    return seed % 4 in (2, 3)


def fate(seed: int, marker: str, number: int) -> tuple[str, float]:
    """How the upstream answers the `number`th request (from 1) for a task, and how slowly."""
    random = Random(f"fate:{seed}:{marker}:{number}")
    fates = LATE_FATES if ".late" in marker else FATES
    name = "ok" if number > HARMLESS_AFTER else _pick(random, fates)
    return name, random.uniform(*LATENCIES.get(name, (0.02, 0.5)))


def _process_events(random: Random, seconds: float) -> list[ProcessEvent]:
    events = []
    at = random.uniform(1.0, 2.5)
    while at < seconds:
        kind, victim = _pick(random, PROCESS_EVENTS)
        if victim == "worker":
            victim = f"worker-{random.randint(1, 2)}"
        length = random.choice((0.0, 0.0, 1.5)) if kind == "kill" else random.uniform(0.5, 3.5)
        if random.randrange(ONE_IN) == 0:
            length = LONG_AWAY.get((kind, victim), length)
        events.append(ProcessEvent(at, kind, victim, length))
        at += random.uniform(0.6, 2.4)
    return events


def _of_both(seed: int, events: Sequence[ProcessEvent]) -> Iterator[ProcessEvent]:
    """The same events, with one or the other gateway; half of those that freeze last for longer
    than a lease."""
    random = Random(f"gateways:{seed}")
    for event in events:
        if event.victim == "gateway" and event.kind in ("kill", "freeze"):
            event = replace(event, victim=random.choice(("gateway", SECOND_GATEWAY)))
            if event.kind == "freeze" and random.random() < 0.5:
                event = replace(event, seconds=LONG_AWAY["freeze", "gateway"])
        yield event


def _text_events(seed: int, seconds: float) -> list[ProcessEvent]:
    """The disk of the texts is full; where they are in the gateway, that is its own disk."""
    random = Random(f"texts:{seed}")
    events: list[ProcessEvent] = []
    at = 0.0
    while (at := at + random.uniform(3, 15)) < seconds and not keeps_texts_in_gateway(seed):
        events.append(ProcessEvent(at, "fill", TEXTS, random.choice((1.0, 3.0, 12.0))))
    return events


def _server_events(seed: int, runs: Sequence[PlannedRun], seconds: float) -> list[ProcessEvent]:
    random = Random(f"servers:{seed}")
    events = []
    at = min((run.at for run in runs if run.shape == "servers"), default=seconds)
    while (at := at + random.uniform(0.5, 2.5)) < seconds:
        kind, victim = _pick(random, SERVER_EVENTS)
        away = random.choice((0.0, 0.5)) if kind == "kill" else random.uniform(0.5, 3)
        events.append(ProcessEvent(at, kind, victim, away))
    return events


def _money_events(random: Random, runs: Sequence[PlannedRun], seconds: float) -> list[MoneyEvent]:
    events = [
        MoneyEvent(
            at=min(run.at + random.uniform(0.3, 12), seconds),
            kind=_money_event(random, run),
            run=run.index,
            agents=(random.randrange(100), random.randrange(100)),
            share=random.uniform(0.1, 0.9),
            as_signal=random.random() < 0.4,
        )
        for run in runs
        for _ in range(2)
    ]
    return sorted(events, key=lambda event: event.at)


def _money_event(random: Random, run: PlannedRun) -> str:
    """The first runs with tools are never cancelled, so that every storm has effects."""
    kind = _pick(random, MONEY_EVENTS)
    is_first = run.shape in ("tools", "servers") and run.index < len(SHAPES)
    return "top_up" if is_first and kind == "cancel" else kind


def _pick(random: Random, weights: dict[T, int]) -> T:
    return random.choices(list(weights), list(weights.values()))[0]
