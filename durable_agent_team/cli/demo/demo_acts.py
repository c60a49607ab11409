"""The acts of the demo: each is a run that is followed; the worker is killed in two of them."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from temporalio.client import Client

from durable_agent_team.cli.demo.run_checks import Check, Crash
from durable_agent_team.cli.demo.run_evidence import Evidence, gather_evidence
from durable_agent_team.cli.output import duration_text, print_line
from durable_agent_team.cli.ui.plain_lines import PlainLines
from durable_agent_team.client.connection import ServiceUnavailable
from durable_agent_team.client.exceptions import NoWorker
from durable_agent_team.client.runs import RunHandle, start_run
from durable_agent_team.contracts.run import RunReport, RunRequest, RunState, TaskStatus
from durable_agent_team.process.project_root import PROJECT_ROOT
from durable_agent_team.process.stack_state import StackInfo
from durable_agent_team.team_files.team_file import load_team

TEAMS = PROJECT_ROOT / "teams"
POLL_SECONDS = 0.2
KillWhen = Callable[[RunState], bool]
Decide = Callable[[RunHandle, RunState], Awaitable[None]]
NEW_WORKER_SECONDS = 20.0


@dataclass
class Act:
    """A run that has ended, with its evidence and its checks."""

    title: str
    request: RunRequest
    report: RunReport
    evidence: Evidence
    crash: Crash | None = None
    checks: list[Check] = field(default_factory=list)

    def add_checks(self, checks: Iterable[Check]) -> None:
        """Adds the checks, and prints whether each passed."""
        for check in checks:
            self.checks.append(check)
            if check.passed:
                print_line(f"  ✓ {check.text}")
            else:
                print_line(f"  ✗ CHECK FAILED: {check.text} ({check.seen or 'it did not hold'})")

    def handoff(self, task: str | None) -> str:
        """The output of a task, or an empty text."""
        found = [each.output for each in self.report.outcomes if each.task.id == task]
        return (found[0] if found else None) or ""


class Stage:
    """Plays the acts on one stack, with one client."""

    def __init__(self, client: Client, info: StackInfo) -> None:
        self._client = client
        self._info = info

    async def play(
        self,
        title: str,
        file: str,
        *,
        kill_when: KillWhen | None = None,
        decide: Decide | None = None,
    ) -> Act:
        """Starts a run of the team and follows it to its end. An interrupted run is cancelled.

        The worker is killed once, as soon as `kill_when` says so. `decide` sees each state, and may
        answer what waits for a person.
        """
        request = load_team(TEAMS / file)
        run = await start_run(self._client, request)
        try:
            report, crash = await self._follow(run, kill_when, decide)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await run.cancel("the demo was interrupted")
            raise
        local = self._info.env
        url, key = local["ATXP_API_URL"], local["ATXP_API_KEY"]
        evidence = await gather_evidence(self._client, run.id, url, key)
        took = (report.ended_at - report.started_at).total_seconds()
        print_line(
            f"  elapsed {duration_text(took)}; its calls one after the other:"
            f" {duration_text(report.call_seconds)}"
        )
        return Act(title, request, report, evidence, crash)

    async def _follow(
        self, run: RunHandle, kill_when: KillWhen | None, decide: Decide | None
    ) -> tuple[RunReport, Crash | None]:
        ended = asyncio.create_task(run.result())
        lines, crash = PlainLines(), None
        try:
            while not ended.done():
                state = await _read_state(run)
                _print_changes(lines, state)
                if state is not None and crash is None and kill_when and kill_when(state):
                    crash = await self._kill_worker(state)
                elif state is not None and decide:
                    await decide(run, state)
                await asyncio.wait([ended], timeout=POLL_SECONDS)
            _print_changes(lines, await _read_state(run))
            return ended.result(), crash
        finally:
            ended.cancel()

    async def _kill_worker(self, state: RunState) -> Crash | None:
        """Sends SIGKILL, which allows no cleanup. The stack's supervisor starts another worker."""
        pid = self._info.worker_pid
        if pid is None:
            return None
        running = [task.id for task in state.tasks if task.status is TaskStatus.RUNNING]
        print_line(f"  >> kill -9 {pid}: the worker dies while running {', '.join(running)}")
        os.kill(pid, signal.SIGKILL)
        for _ in range(int(NEW_WORKER_SECONDS / POLL_SECONDS)):
            await asyncio.sleep(POLL_SECONDS)
            if self._info.worker_pid not in (None, pid):
                break
        return Crash(before=state, old_pid=pid, new_pid=self._info.worker_pid)


def is_midway(state: RunState) -> bool:
    """Whether a task is done, which must not be lost, and another is running."""
    statuses = {task.status for task in state.tasks}
    return TaskStatus.DONE in statuses and TaskStatus.RUNNING in statuses


def quotes(handoff: str) -> list[str]:
    """The quotes in the findings that a task handed off, each once."""
    try:
        findings = json.loads(handoff)["findings"]
        return list(dict.fromkeys(str(each["quote"]) for each in findings))
    except (ValueError, KeyError, TypeError):
        return []


async def _read_state(run: RunHandle) -> RunState | None:
    try:
        return await run.state()
    except (NoWorker, ServiceUnavailable):
        return None


def _print_changes(lines: PlainLines, state: RunState | None) -> None:
    for line in lines.changes(state) if state else ():
        print_line(f"  {line}")
