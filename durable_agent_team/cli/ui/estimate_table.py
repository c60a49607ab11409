"""Pure: an estimate as tables: its calls, its agents, and the sum."""

from decimal import Decimal

from durable_agent_team.cli.output import aligned_table, usd
from durable_agent_team.rules.estimate import AgentBound, CallBound, Estimate


def estimate_text(found: Estimate) -> str:
    """The worst case by task, by agent and in all, and how it is computed."""
    head = ["task", "agent", "model", "calls", "inputs", "prompt", "worst USD", "of it inputs"]
    rows = [_row(each) for each in found.calls]
    parts = [aligned_table(head, rows, right=(3, 4, 5, 6, 7)), ""]
    head = ["agent", "worst USD", "budget", "at most"]
    rows = [
        [each.agent, _worst(each, found), usd(each.budget_usd), usd(each.most_usd)]
        for each in found.agents
    ]
    rows.append(["in all", usd(_sum(found)), "", usd(found.most_usd)])
    parts += [aligned_table(head, rows, right=(1, 2, 3)), ""]
    parts.append(
        "Worst case: every answer as long as max_tokens allows, every repair needed, a token a"
        " byte\n(inputs and prompt are bytes); a hand-off counts 4 bytes a token. Repairs of"
        " answers that were\ncut off have more room. A limit is never exceeded."
    )
    if found.planned:
        parts.append("The orchestrator plans: every agent is counted as if all tasks were its own.")
    programs = sorted({each.agent for each in found.calls if each.program})
    if programs:
        parts.append(
            f"Up to its budget: {', '.join(programs)}. A program's calls are its own; calls counts"
            " how often it may run."
        )
    unpriced = (each for each in found.calls if each.usd is None and not each.program)
    missing = sorted({each.model or "(none)" for each in unpriced})
    if missing:
        parts.append(f"Without a price: {', '.join(missing)}.")
    return "\n".join(parts)


def _row(each: CallBound) -> list[str]:
    return [
        each.subject,
        each.agent,
        each.model or "-",
        str(each.calls),
        str(each.input_bytes),
        str(each.prompt_bytes),
        "up to its budget" if each.program else usd(each.usd),
        usd(each.inputs_usd),
    ]


def _worst(agent: AgentBound, found: Estimate) -> str:
    is_program = any(each.program for each in found.calls if each.agent == agent.agent)
    return "up to its budget" if is_program else usd(agent.usd)


def _sum(found: Estimate) -> Decimal | None:
    """None if an agent has no price."""
    priced = [each.usd for each in found.agents if each.usd is not None]
    return sum(priced, Decimal(0)) if len(priced) == len(found.agents) else None
