"""Agents that are programs, as they cannot be started, fail, or are not there."""

from tests.docs.tour.case import TEAM, Case, Section

FATAL = "on_failure: fail, retry: {max_attempts: 1, give_up_after_seconds: 0}"
ONE_TASK = TEAM.replace("orchestrator: {budget_usd: 1}", "final: handoff")


def program(run: str, more: str = FATAL) -> dict[str, str]:
    """A team whose agent is this program."""
    agent = f"role: Researcher, budget_usd: 1, {more}, run: {run}"
    return {"team.yaml": ONE_TASK.replace("role: Researcher, budget_usd: 1", agent)}


def refused(title: str, run: str, *says: str) -> Case:
    return Case(title, "starter.py validate team.yaml", says, files=program(run))


def fails(run_id: str, title: str, run: str, *says: str, more: str = FATAL) -> Case:
    return Case(title, f"starter.py run team.yaml --id {run_id}", says, code=1, part="failed",
                files=program(run, more))  # fmt: skip


SECTIONS = [
    Section(
        "Agents that are programs",
        "[Programs](programs.md) has what each end of a program means. Standard error of an"
        " execution is in `starter.py task`.",
        [
            refused("A program that does not exist", "{command: [no-such-program]}",
                    "research.run.command = no-such-program", "name its path"),
            refused("An address that is not a URL", "{a2a: market.example}",
                    "research.run.a2a = 'market.example'", "https://example.com/agent"),
            fails("p-exit", "A program that ends with an error",
                  "{command: [bash, -c, 'echo no data >&2; exit 3']}",
                  "facts: ProgramFailed: ", "exit code 3", "no data", "Correct the program"),
            fails("p-slow", "A program that takes too long", "{command: [sleep, '30']}",
                  "facts: ProgramTimeout: ", "`timeout_seconds`",
                  more=f"timeout_seconds: 1, {FATAL}"),
            fails("p-silent", "A program without an answer", "{command: ['true']}",
                  "facts: ProgramFailed: ", "without an answer on its standard output"),
            fails("p-away", "A remote agent that does not answer",
                  "{a2a: 'http://127.0.0.1:9'}", "facts: UpstreamUnavailable: the remote agent"),
        ],
    )
]  # fmt: skip
