"""Which tools a turn is offered: only what remains, and no answer before what is required."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from durable_agent_team.contracts.team import Agent
from durable_agent_team.contracts.tool_box import ToolBox, ToolFacts
from durable_agent_team.contracts.tool_kinds import Effects
from durable_agent_team.rules.tools.offers import CallsSoFar, missing_tools, offer, unmet_tools

MOST = 4


@st.composite
def agents(draw: st.DrawFn) -> tuple[Agent, ToolBox]:
    """Up to four entries, of which those of servers have several tools."""
    entries, facts = [], []
    for number in range(draw(st.integers(1, MOST))):
        entry: dict[str, Any] = {"server": f"s{number}"}
        if draw(st.booleans()):
            entry["max_calls"] = draw(st.integers(1, 3))
        if draw(st.booleans()):
            entry["required"] = True
        entries.append(entry)
        for place in range(draw(st.integers(1, 3))):
            name = f"t{number}{place}"
            facts.append(
                ToolFacts(
                    name=name,
                    entry=number,
                    own_name=name,
                    source=name,
                    effects=Effects.ONCE,
                    sha256="0" * 64,
                )
            )
    agent = Agent.model_validate({"role": "Clerk", "budget_usd": 1, "tools": entries})
    return agent, ToolBox(tools=tuple(facts), definitions="[]", sha256="0" * 64)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Agent, ToolBox, CallsSoFar, bool]:
    agent, box = draw(agents())
    made = {each.name: draw(st.integers(0, 4)) for each in box.tools}
    succeeded = {name: draw(st.integers(0, count)) for name, count in made.items()}
    so_far = CallsSoFar(made, succeeded, repeats=draw(st.booleans()))
    return agent, box, so_far, draw(st.booleans())


def names_left(agent: Agent, box: ToolBox, so_far: CallsSoFar) -> set[str]:
    return {
        each.name
        for each in box.tools
        if (most := agent.tools[each.entry].max_calls) is None or so_far.made[each.name] < most
    }


@given(situations())
def test_only_what_remains_is_offered(situation: tuple[Agent, ToolBox, CallsSoFar, bool]) -> None:
    agent, box, so_far, is_last = situation
    found = offer(agent, box, so_far, is_last=is_last)
    everything = {each.name for each in box.tools}
    offered = everything if found.names is None else set(found.names)
    assert offered <= names_left(agent, box, so_far)
    assert found.names is None or len(found.names) == len(offered), "each once"
    if is_last or so_far.repeats:
        assert found.names == ()
    if found.names is None:
        assert names_left(agent, box, so_far) == everything


@given(situations())
def test_who_has_to_act_can_act_and_what_is_required_comes_first(
    situation: tuple[Agent, ToolBox, CallsSoFar, bool],
) -> None:
    agent, box, so_far, is_last = situation
    found = offer(agent, box, so_far, is_last=is_last)
    missing = set(missing_tools(agent, box, so_far))
    if found.must_act:
        assert found.names
        assert set(found.names) <= missing
    elif not is_last and not so_far.repeats:
        assert not missing & names_left(agent, box, so_far)


@given(situations())
def test_one_success_of_an_entry_is_enough(
    situation: tuple[Agent, ToolBox, CallsSoFar, bool],
) -> None:
    agent, box, so_far, _ = situation
    missing = set(missing_tools(agent, box, so_far))
    for number, entry in enumerate(agent.tools):
        own = {each.name for each in box.tools if each.entry == number}
        done = any(so_far.succeeded[name] for name in own)
        assert (own <= missing) if entry.required and not done else not own & missing


@given(situations())
def test_an_agent_that_may_answer_has_done_what_is_required(
    situation: tuple[Agent, ToolBox, CallsSoFar, bool],
) -> None:
    """Else the turn is not made at all."""
    agent, box, so_far, is_last = situation
    found = offer(agent, box, so_far, is_last=is_last)
    unmet = unmet_tools(agent, box, so_far, is_last=is_last)
    missing = missing_tools(agent, box, so_far)
    assert set(unmet) <= set(missing)
    if not found.must_act:
        assert unmet == missing
    for name in unmet:
        assert not found.names or name not in found.names


@given(situations())
def test_what_can_still_succeed_is_not_given_up(
    situation: tuple[Agent, ToolBox, CallsSoFar, bool],
) -> None:
    agent, box, so_far, _ = situation
    going_on = CallsSoFar(so_far.made, so_far.succeeded)
    unmet = set(unmet_tools(agent, box, going_on, is_last=False))
    entries = {each.name: each.entry for each in box.tools}
    for name in names_left(agent, box, going_on):
        assert not {each for each in unmet if entries[each] == entries[name]}
