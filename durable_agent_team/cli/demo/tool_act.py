"""The act with a tool: its worker is killed in the middle of a refund, which is paid once."""

from collections.abc import Iterator
from pathlib import Path

from durable_agent_team.cli.demo.demo_acts import Act, Stage
from durable_agent_team.cli.demo.run_checks import Check
from durable_agent_team.cli.output import print_line
from durable_agent_team.client.runs import RunHandle
from durable_agent_team.contracts.effects import EffectDecision
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.run import RunState, RunStatus, Waiting
from durable_agent_team.process.project_root import PROJECT_ROOT

TEAM = "one_refund.yaml"
BOOK = PROJECT_ROOT / ".data" / "refunds.csv"
"""In which the tool counts its own effects: see teams/shop/slow_refunds.py."""


class RefundDesk:
    """Watches the tool's book, and decides as a person would who looks into it."""

    def __init__(self, book: Path = BOOK) -> None:
        self._book = book
        self._before = len(self._lines())
        self.asked: list[Waiting] = []

    @property
    def refunds(self) -> list[str]:
        """The lines that were written since."""
        return self._lines()[self._before :]

    def is_paying(self, state: RunState) -> bool:
        """The tool has had its effect, and has not answered yet."""
        return bool(self.refunds)

    async def decide(self, run: RunHandle, state: RunState) -> None:
        """Answers the question whether the refund was paid with what the book says."""
        for waiting in state.waiting:
            if waiting.type == ErrorType.EFFECT_UNKNOWN and waiting not in self.asked:
                self.asked.append(waiting)
                print_line(f"  >> {waiting.subject} waits for a person: {waiting.reason}")
                for line in self.refunds:
                    print_line(f"  >> the book of the tool has: {line}")
                if self.refunds:
                    decision, result = EffectDecision.RESULT, f"paid: {self.refunds[-1]}"
                    print_line(f"  >> so it was paid: `answer RUN {waiting.subject} result`")
                    await run.answer(waiting.subject, decision, result)
                else:
                    await run.answer(waiting.subject, EffectDecision.RETRY)

    def _lines(self) -> list[str]:
        return self._book.read_text(encoding="utf-8").splitlines() if self._book.exists() else []


async def play(stage: Stage) -> Act:
    desk = RefundDesk()
    act = await stage.play("act 4", TEAM, kill_when=desk.is_paying, decide=desk.decide)
    act.add_checks(_checks(act, desk))
    return act


def _checks(act: Act, desk: RefundDesk) -> Iterator[Check]:
    crash = act.crash
    yield Check(
        "the worker was killed in the middle of the tool, another one took over",
        crash is not None and crash.new_pid not in (None, crash.old_pid),
        "it was not killed" if crash is None else f"new pid {crash.new_pid}",
    )
    yield Check(
        "no one knew whether the refund was paid: a person was asked, once",
        len(desk.asked) == 1,
        f"{len(desk.asked)} questions",
    )
    yield Check("the refund was paid once", len(desk.refunds) == 1, f"{len(desk.refunds)} refunds")
    yield Check(
        "the agent went on with what the person said",
        act.report.status is RunStatus.COMPLETED and bool(act.report.answer),
        act.report.status.value,
    )
