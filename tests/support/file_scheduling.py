"""Hands test files out to the processes of `pytest -n`, and goes on when one of them has crashed.

After a crash, pytest-xdist 3.8 hands out again what was done, too. A process that gets a file of
which nothing is left waits for a next test that never comes, and the run stands still forever.
"""

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController


class FileScheduling(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """`--dist loadfile`, with what a crash needs."""

    def remove_node(self, node: WorkerController) -> str | None:
        """Returns the test that crashed it. Raises KeyError for an unknown process."""
        crashed: str | None = super().remove_node(node)
        if self.collection is None:  # nothing is handed out yet: its successor counts instead
            self.registered_collections.pop(node, None)
        return crashed

    def _reschedule(self, node: WorkerController) -> None:
        if node not in self.registered_collections:
            return  # it takes the place of another one, and is still collecting
        super()._reschedule(node)
        # A process begins a test when it knows the next one, so it needs two that are not done.
        while self.workqueue and not node.shutting_down and self._left_to(node) < 2:
            self._assign_work_unit(node)

    def _left_to(self, node: WorkerController) -> int:
        return int(self._pending_of(self.assigned_work[node]))
