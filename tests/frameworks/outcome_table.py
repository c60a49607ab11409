"""The table at the end of `make frameworks`."""

from collections.abc import Iterator, Sequence

from tests.frameworks.desk_run import Outcome

HEAD = ("team", "cost USD", "ledger agrees", "calls", "killed", "paid twice", "tickets", "s")
ANSWER_WIDTH = 60


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A line for each team, and below it what broke or why it was skipped."""
    width = max(len(each.team) for each in outcomes)
    yield f"{HEAD[0]:{width}}  " + "  ".join(HEAD[1:]) + "  answer"
    for each in outcomes:
        if each.skipped:
            yield f"{each.team:{width}}  skipped: {each.skipped}"
            continue
        cells = (
            f"{each.cost_usd:.6f}",
            each.ledger,
            each.calls,
            each.kills,
            each.paid_twice,
            each.tickets,
            f"{each.seconds:.0f}",
        )
        row = "  ".join(f"{cell!s:>{len(h)}}" for cell, h in zip(cells, HEAD[1:], strict=True))
        answer = " ".join(each.answer.split())
        short = answer if len(answer) <= ANSWER_WIDTH else answer[: ANSWER_WIDTH - 1] + "…"
        yield f"{each.team:{width}}  {row}  {short}"
        for text in each.broken:
            yield f"  {text}"
