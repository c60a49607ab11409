"""The schedule is right for any graph, and any order of completion."""

import random
from collections.abc import Mapping
from graphlib import TopologicalSorter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.contracts.run import TaskStatus
from durable_agent_team.contracts.team import Task
from durable_agent_team.rules.graph import find_cycle
from workflows.state.task_schedule import ENDED, Schedule

Graph = dict[str, tuple[str, ...]]


@st.composite
def acyclic(draw: st.DrawFn) -> Graph:
    """Tasks in a shuffled order; each depends on some that come before it in a hidden one."""
    size = draw(st.integers(1, 25))
    names = [f"t{number}" for number in range(size)]
    graph: Graph = {}
    for position, name in enumerate(names):
        earlier = (
            st.lists(st.sampled_from(names[:position]), max_size=4) if position else st.just([])
        )
        graph[name] = tuple(draw(earlier))
    order = draw(st.permutations(names))
    return {name: graph[name] for name in order}


@st.composite
def any_graph(draw: st.DrawFn) -> Graph:
    names = [f"t{number}" for number in range(draw(st.integers(1, 8)))]
    return {name: tuple(draw(st.lists(st.sampled_from(names), max_size=3))) for name in names}


def schedule_of(graph: Graph) -> Schedule:
    return Schedule(
        [Task(id=name, agent="a", ask="x", depends_on=needs) for name, needs in graph.items()]
    )


def has_cycle(graph: Mapping[str, tuple[str, ...]]) -> bool:
    """Found in another way: remove tasks without dependencies until nothing changes."""
    left = dict(graph)
    while free := [name for name, needs in left.items() if not set(needs) & set(left)]:
        for name in free:
            del left[name]
    return bool(left)


@given(acyclic(), st.randoms(use_true_random=False))
def test_each_task_runs_once_and_never_before_its_dependencies(
    graph: Graph, order: random.Random
) -> None:
    schedule = schedule_of(graph)
    open_tasks = schedule.start()
    ran: list[str] = []
    while open_tasks:
        task = open_tasks.pop(order.randrange(len(open_tasks)))
        assert set(graph[task]) <= set(ran)
        ran.append(task)
        open_tasks += schedule.done(task)
    assert sorted(ran) == sorted(graph)
    assert set(schedule.status.values()) == {TaskStatus.DONE}


@given(acyclic(), st.randoms(use_true_random=False), st.integers(0, 10))
def test_a_failure_blocks_exactly_what_depends_on_it(
    graph: Graph, order: random.Random, victim: int
) -> None:
    schedule = schedule_of(graph)
    fails = sorted(graph)[victim % len(graph)]
    open_tasks = schedule.start()
    blocked: list[str] = []
    while open_tasks:
        task = open_tasks.pop(order.randrange(len(open_tasks)))
        if task == fails:
            blocked = schedule.failed(task)
        else:
            open_tasks += schedule.done(task)
    reached = {fails}
    while more := {n for n, needs in graph.items() if set(needs) & reached} - reached:
        reached |= more
    assert set(blocked) == reached - {fails}
    assert len(blocked) == len(set(blocked))
    assert {n for n, status in schedule.status.items() if status is TaskStatus.DONE} == (
        set(graph) - reached
    )


@given(any_graph())
def test_a_cycle_is_found_exactly_when_there_is_one(graph: Graph) -> None:
    cycle = find_cycle(graph)
    assert (cycle is not None) == has_cycle(graph)
    if cycle:
        assert cycle[0] == cycle[-1]
        assert all(after in graph[before] for before, after in pairwise(cycle))


@given(acyclic())
def test_cancelling_ends_everything(graph: Graph) -> None:
    schedule = schedule_of(graph)
    first = schedule.start()[0]
    schedule.done(first)
    schedule.cancel_rest()
    assert schedule.status[first] is TaskStatus.DONE
    assert set(schedule.status.values()) <= ENDED


def test_a_long_chain_does_not_meet_the_recursion_limit() -> None:
    chain = {f"t{n}": (f"t{n + 1}",) for n in range(5_000)}
    assert find_cycle(chain) is None
    chain["t4999"] = ("t0",)
    cycle = find_cycle(chain)
    assert cycle is not None
    assert len(cycle) == 5_001


@given(acyclic(), st.randoms(use_true_random=False))
def test_tasks_added_while_running_run_like_planned_ones(
    graph: Graph, order: random.Random
) -> None:
    """Added one by one, once their dependencies are known, while others run."""
    known: dict[str, tuple[str, ...]] = {}
    schedule = schedule_of(known)
    left, open_tasks, ran = dict(graph), list[str](), list[str]()
    while left or open_tasks:
        addable = [name for name, needs in left.items() if set(needs) <= set(known)]
        if addable and (not open_tasks or order.random() < 0.5):
            name = addable[order.randrange(len(addable))]
            known[name] = left.pop(name)
            task = Task(id=name, agent="a", ask="x", depends_on=known[name])
            open_tasks += schedule.add(task)
        else:
            done = open_tasks.pop(order.randrange(len(open_tasks)))
            assert set(graph[done]) <= set(ran)
            ran.append(done)
            open_tasks += schedule.done(done)
    assert sorted(ran) == sorted(graph)


def test_an_added_task_does_not_wait_for_a_skipped_one() -> None:
    schedule = schedule_of({"a": (), "b": ()})
    schedule.start()
    schedule.without("a", TaskStatus.SKIPPED)
    task = Task(id="c", agent="a", ask="x", depends_on=("a", "b"), missing_inputs="accept")
    assert schedule.add(task) == []
    assert schedule.done("b") == ["c"]


@pytest.mark.parametrize("needs", [("a", "a"), ("a",)])
def test_a_dependency_that_is_named_twice_counts_once(needs: tuple[str, ...]) -> None:
    schedule = schedule_of({"a": (), "b": needs})
    assert schedule.start() == ["a"]
    assert schedule.done("a") == ["b"]


@given(acyclic(), st.randoms(use_true_random=False))
def test_after_a_retry_tasks_run_as_if_nothing_had_failed(
    graph: Graph, order: random.Random
) -> None:
    """With skipped tasks, and others that accept missing inputs; at any time of the retry."""
    accepting = {name for name in graph if order.random() < 0.5}
    skips = {name for name in graph if order.random() < 0.3}
    fails = {name for name in graph if order.random() < 0.3} - skips
    schedule = Schedule(
        [
            Task(id=name, agent="a", ask="x", depends_on=needs,
                 missing_inputs="accept" if name in accepting else "fail")
            for name, needs in graph.items()
        ]
    )  # fmt: skip
    open_tasks, ran = schedule.start(), set[str]()
    while True:
        failed = [each for each, s in schedule.status.items() if s is TaskStatus.FAILED]
        if failed and (not open_tasks or order.random() < 0.3):
            fails.discard(failed[0])
            open_tasks += [failed[0], *schedule.retry(failed[0])]
            continue
        if not open_tasks:
            break
        task = open_tasks.pop(order.randrange(len(open_tasks)))
        if task in fails:
            schedule.failed(task)
        elif task in skips:
            open_tasks += schedule.without(task, TaskStatus.SKIPPED)[0]
        else:
            assert task not in ran
            ran.add(task)
            open_tasks += schedule.done(task)
    assert ran == _runnable(graph, accepting, skips)
    assert set(schedule.status.values()) <= ENDED


@given(acyclic(), st.randoms(use_true_random=False))
def test_what_is_done_again_leaves_the_counts_that_a_new_schedule_has(
    graph: Graph, order: random.Random
) -> None:
    """After each step: what a task waits for, and why a blocked one cannot run, are those that the
    statuses alone say."""
    tasks = [
        Task(id=name, agent="a", ask="x", depends_on=needs,
             missing_inputs="accept" if order.random() < 0.5 else "fail")
        for name, needs in graph.items()
    ]  # fmt: skip
    schedule = Schedule(tasks)
    open_tasks = set(schedule.start())
    for _ in range(3 * len(tasks)):
        _do_something(schedule, open_tasks, order)
        again = Schedule.of(tasks, schedule.status)
        for name in _with(schedule, TaskStatus.WAITING):
            assert schedule._missing[name] == again._missing[name] > 0
        blockers = schedule.blockers()
        assert set(blockers) == set(_with(schedule, TaskStatus.BLOCKED))
        for name, blocker in blockers.items():
            _assert_blocks(schedule, blocker, name, blockers)


def _do_something(schedule: Schedule, open_tasks: set[str], order: random.Random) -> None:
    done = _with(schedule, TaskStatus.DONE)
    failed = _with(schedule, TaskStatus.FAILED)
    if failed and order.random() < 0.4:
        name = order.choice(failed)
        open_tasks.update([name, *schedule.retry(name)])
    elif done and order.random() < 0.4:
        again, ready = schedule.redo(order.choice(done))
        open_tasks.difference_update(again)
        open_tasks.update([again[0], *ready])
    elif open_tasks:
        name = order.choice(sorted(open_tasks))
        open_tasks.discard(name)
        how = order.randrange(3)
        if how == 0:
            schedule.failed(name)
        elif how == 1:
            open_tasks.update(schedule.without(name, TaskStatus.SKIPPED)[0])
        else:
            open_tasks.update(schedule.done(name))


def _with(schedule: Schedule, wanted: TaskStatus) -> list[str]:
    return [name for name, status in schedule.status.items() if status is wanted]


def _assert_blocks(
    schedule: Schedule, blocker: str, name: str, blockers: Mapping[str, str]
) -> None:
    needs = schedule.tasks[name].depends_on
    assert schedule.status[blocker] in (TaskStatus.FAILED, TaskStatus.SKIPPED)
    assert blocker in needs or blocker in {blockers.get(need) for need in needs}


def test_a_chain_of_blocked_tasks_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry of another task records for each of them why it cannot run: with a walk along the
    chain for each, one took two seconds for a thousand tasks, and its workflow task failed."""
    length, looks = 5_000, 0
    graph: Graph = {"t0": (), **{f"t{n}": (f"t{n - 1}",) for n in range(1, length)}}
    schedule = schedule_of(graph)
    schedule.start()
    schedule.failed("t0")
    look = schedule._blocking

    def counted(name: str) -> str:
        nonlocal looks
        looks += 1
        return look(name)

    monkeypatch.setattr(schedule, "_blocking", counted)
    assert set(schedule.blockers().values()) == {"t0"}
    assert looks == length - 1


def _runnable(graph: Graph, accepting: set[str], skips: set[str]) -> set[str]:
    runs: set[str] = set()
    for name in TopologicalSorter(graph).static_order():
        meets_all = name in accepting or set(graph[name]) <= runs
        if meets_all and name not in skips:
            runs.add(name)
    return runs
