"""Pure: a run as the Temporal UI shows it, live, in Markdown."""

from contracts.run import RunState
from contracts.spend import AgentSpend, SpendReport

MAX_ROWS = 100


def details(state: RunState, spend: SpendReport, done: int) -> str:
    """Status, who waits for what, and a table of the agents and their money."""
    lines = [
        f"**{state.status}** · {done} of {state.tasks_total} tasks done"
        f" · {spend.total.spent_usd} of {spend.total.budget_usd} USD",
        "",
    ]
    lines += [f"- waits for you: {each.reason} `{each.command}`" for each in state.waiting]
    if state.failure:
        lines += [f"- {state.failure.type}: {_cell(state.failure.message)}", ""]
    lines += [
        "",
        "| agent | state | spent | budget | calls |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    lines += [_row(agent) for agent in spend.agents[:MAX_ROWS]]
    if len(spend.agents) > MAX_ROWS:
        lines.append(f"| and {len(spend.agents) - MAX_ROWS} more | | | | |")
    return "\n".join(lines)


def _row(agent: AgentSpend) -> str:
    return (
        f"| {agent.agent} | {agent.status} | {agent.spent_usd} | {agent.budget_usd}"
        f" | {agent.calls} |"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:500]
