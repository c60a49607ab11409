"""Test files are handed out to the end, whichever process crashes at whichever moment."""

from collections import deque
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from xdist.remote import Producer

from tests.support.file_scheduling import FileScheduling

CONFIG: Any = SimpleNamespace(
    getvalue=lambda _: ["2*popen"], option=SimpleNamespace(loadscopereorder=False)
)
SHUTDOWN = -1


class Process:
    """Behaves as `xdist.remote.WorkerInteractor`: it runs a test when it knows what comes next."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.queue: deque[int] = deque()
        self.shutting_down = False

    def send_runtest_some(self, tests: list[int]) -> None:
        self.queue.extend(tests)

    def shutdown(self) -> None:
        self.shutting_down = True
        self.queue.append(SHUTDOWN)

    def runs(self) -> bool:
        return len(self.queue) > 1 and self.queue[0] != SHUTDOWN


class Session:
    """What pytest-xdist's `DSession` does with a scheduler."""

    def __init__(self, files: list[int]) -> None:
        self.tests = [f"f{file}.py::t{n}" for file, many in enumerate(files) for n in range(many)]
        self.scheduler = FileScheduling(CONFIG, Producer("scheduler", enabled=False))
        self.collecting: list[Any] = []
        self.started = 0
        self.done: list[str] = []
        self.crashed: list[str] = []
        for _ in range(2):
            self.start()

    def start(self) -> None:
        process: Any = Process(f"gw{self.started}")
        self.started += 1
        self.scheduler.add_node(process)
        self.collecting.append(process)

    def collected(self) -> None:
        process = self.collecting.pop(0)
        self.scheduler.add_node_collection(process, self.tests)
        if self.scheduler.collection_is_completed:
            self.scheduler.schedule()

    def run(self, process: Any) -> None:
        test = process.queue.popleft()
        self.done.append(self.tests[test])
        self.scheduler.mark_test_complete(process, test)

    def crash(self, process: Any) -> None:
        if crashed := self.scheduler.remove_node(process):
            self.crashed.append(crashed)
        if process in self.collecting:
            self.collecting.remove(process)
        self.start()

    def moves(self) -> list[Any]:
        """What can happen next."""
        running: list[Any] = [each for each in self.scheduler.nodes if each.runs()]
        begun = [lambda each=each: self.run(each) for each in running]
        return [*([self.collected] if self.collecting else []), *begun]


@given(
    files=st.lists(st.integers(1, 4), min_size=2, max_size=12),
    choices=st.lists(st.integers(0, 5), max_size=60),
    crashes=st.lists(st.integers(0, 40), max_size=3),
)
def test_every_test_runs(files: list[int], choices: list[int], crashes: list[int]) -> None:
    session, chosen = Session(files), iter(choices)
    for step in range(1_000):
        if session.scheduler.tests_finished and not session.collecting:
            break
        if step in crashes and session.scheduler.nodes:
            session.crash(session.scheduler.nodes[next(chosen, 0) % len(session.scheduler.nodes)])
        moves = session.moves()
        assert moves, "everything waits: the run stands still"
        moves[next(chosen, 0) % len(moves)]()
    for process in session.scheduler.nodes:  # DSession.triggershutdown
        process.shutdown()
        while process.runs():
            session.run(process)
    assert set(session.done) == set(session.tests)
    assert len(session.done) == len(session.tests), "what is done is not done again"
