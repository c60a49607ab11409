"""The base of state machines that call the store's SQL directly, on a database in memory."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine

from durable_agent_team.gateway.stores.sqlite_schema import connect
from tests.support.memory_disk import memory_disk


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(dir=memory_disk())
        self.conn = connect(Path(self._folder.name) / "gateway.db")
        self.conn.execute("PRAGMA synchronous = OFF")

    def teardown(self) -> None:
        self.conn.close()
        self._folder.cleanup()

    def do(self, operation: Callable[..., Any], *values: Any) -> Any:
        """Runs one operation of the store in a transaction of its own."""
        self.conn.execute("BEGIN IMMEDIATE")
        try:
            result = operation(self.conn, *values)
        except BaseException:
            self.conn.execute("ROLLBACK")
            raise
        self.conn.execute("COMMIT")
        return result
