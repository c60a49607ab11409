"""The team as the orchestrator sees it when it plans: agents, documents, prices and money.

Bounded in encoded bytes: in a team of hundreds, instructions and lists of documents are shortened
until all agents have their place.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from itertools import islice

from durable_agent_team.contracts.program_kinds import RemoteRun
from durable_agent_team.contracts.team import Agent
from durable_agent_team.contracts.text_ref import bytes_of
from durable_agent_team.rules.briefing import Briefing
from durable_agent_team.rules.catalog import context_of, model_of, price_of
from durable_agent_team.rules.encoded_size import cut_to_bytes, encoded_bytes

MAX_LISTED_BYTES = 200_000
"""For each of the lists, as JSON."""

DETAIL = ((4_000, 50), (1_500, 20), (500, 10), (150, 4), (0, 1), (0, 0))
"""Bytes of an agent's instructions, and how many of its documents are named: as much as fits."""

MAX_MODEL_BYTES = 200
MAX_DOCUMENTS = 1_000


def team_listed(briefing: Briefing) -> list[str]:
    """Every agent with its role, its instructions and its documents."""

    def listed(most_bytes: int, most_named: int) -> list[str]:
        agents = briefing.team.agents.items()
        return [_agent(name, agent, briefing, most_bytes, most_named) for name, agent in agents]

    return _bounded([partial(listed, *detail) for detail in DETAIL])


def documents_listed(briefing: Briefing) -> list[str]:
    """Every document with its size, for the tasks' `inputs`."""
    if not briefing.documents:
        return []
    lines = [f"- {_document(briefing, name)}" for name in briefing.documents]
    shown: list[str] = []
    room = MAX_LISTED_BYTES
    for line in lines[:MAX_DOCUMENTS]:
        room -= encoded_bytes(line)
        if room < 0:
            break
        shown.append(line)
    left_out = len(lines) - len(shown)
    more = [f"- and {left_out} more"] if left_out else []
    return ["The documents, for `inputs`:", *shown, *more, ""]


def costs_listed(briefing: Briefing) -> list[str]:
    """Every agent with its model, the model's price and context, and the money that is left."""
    return _bounded(
        [
            lambda: [_costs(name, agent, briefing) for name, agent in briefing.team.agents.items()],
            lambda: list(_money_alone(briefing)),
        ]
    )


def _agent(name: str, agent: Agent, briefing: Briefing, most_bytes: int, most_named: int) -> str:
    instructions = _one_line(agent.instructions)
    kept = cut_to_bytes(instructions, most_bytes)
    told = f" {kept}{'' if kept == instructions else '…'}" if kept else ""
    documents = ""
    if agent.inputs and most_named:
        named = [_document(briefing, each) for each in islice(agent.inputs, most_named)]
        more = len(agent.inputs) - len(named)
        documents = f" Always reads {', '.join(named)}{f' and {more} more' if more else ''}."
    elif agent.inputs:
        documents = f" Always reads {len(agent.inputs)} documents."
    return f"- {name}: {_one_line(agent.role)}.{_program(agent)}{told}{documents}"


def _program(agent: Agent) -> str:
    """What matters of a program to whoever gives it work."""
    if agent.run is None:
        return ""
    where = " elsewhere" if isinstance(agent.run, RemoteRun) else ""
    return (
        f" It is a program{where}, with steps and tools of its own: give it a whole piece of work."
    )


def _document(briefing: Briefing, name: str) -> str:
    text = briefing.documents.get(name)
    return f"{_one_line(name)} ({bytes_of(text):,} bytes)" if text is not None else _one_line(name)


def _costs(name: str, agent: Agent, briefing: Briefing) -> str:
    model = model_of(agent, briefing.catalog)
    price = price_of(briefing.catalog, model)
    parts = [cut_to_bytes(model, MAX_MODEL_BYTES)] if model else []
    if price is not None and price.is_priced:
        parts.append(f"{_plain(price.input_usd)} in, {_plain(price.output_usd)} out")
    context = context_of(agent, price)
    if context is not None:
        parts.append(f"context of {context:,} tokens")
    parts.append(f"answers of up to {agent.max_tokens:,} tokens")
    if name in briefing.left_usd:
        parts.append(f"{briefing.left_usd[name]} USD left")
    return f"- {name}: {'; '.join(parts)}"


def _money_alone(briefing: Briefing) -> Iterator[str]:
    for name in briefing.team.agents:
        left = briefing.left_usd.get(name)
        yield f"- {name}: {left} USD left" if left is not None else f"- {name}"


def _plain(amount: Decimal | None) -> str:
    return f"{(amount or Decimal(0)).normalize():f}"


def _bounded(versions: Sequence[Callable[[], list[str]]]) -> list[str]:
    """The first version that fits; the last one in any case."""
    for version in versions[:-1]:
        lines = version()
        if encoded_bytes(lines) <= MAX_LISTED_BYTES:
            return lines
    return versions[-1]()


def _one_line(text: str) -> str:
    """So that a text cannot add agents to the list."""
    return " ".join(text.split())
