"""An agent with tools in a trace: its turns and tools are children of `invoke_agent`, and that is
a child of the run's `invoke_workflow`, by OpenTelemetry's GenAI conventions."""

from tests.support.otlp import Received
from tests.telemetry.stage import RUN, Evidence
from tests.telemetry.test_one_run import the_trace


def named(spans: list[Received], name: str) -> list[Received]:
    return [each for each in spans if each.span.name == name]


def test_turns_and_tools_are_children_of_their_agent(evidence: Evidence) -> None:
    spans = the_trace(evidence)
    [run] = named(spans, "invoke_workflow brief")
    [agent] = named(spans, "invoke_agent clerk")
    [tool] = named(spans, "execute_tool meta")
    chats = [
        each
        for each in named(spans, "chat m")
        if each.service == "durable-agent-team" and each.attributes["agent_team.task"] == "desk"
    ]
    assert len(chats) == 2
    assert agent.span.parent_span_id == run.span.span_id
    for child in (tool, *chats):
        assert child.span.parent_span_id == agent.span.span_id
        assert (
            agent.span.start_time_unix_nano
            <= child.span.end_time_unix_nano
            <= agent.span.end_time_unix_nano
        )
        assert [link.trace_id for link in child.span.links] == [child.span.trace_id]


def test_the_run_and_the_agent_are_described_by_the_conventions(evidence: Evidence) -> None:
    spans = the_trace(evidence)
    [run] = named(spans, "invoke_workflow brief")
    [agent] = named(spans, "invoke_agent clerk")
    assert run.attributes == {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": "brief",
        "agent_team.run": RUN,
        "agent_team.team": "brief",
    }
    about = dict(agent.attributes)
    chats = [each for each in spans if each.span.parent_span_id == agent.span.span_id]
    ours = [each for each in chats if each.span.name == "chat m"]
    assert about.pop("gen_ai.conversation.id") == ours[0].attributes["gen_ai.conversation.id"]
    for total in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"):
        assert about.pop(total) == sum(each.attributes[total] for each in ours)
    costs = [each.attributes["cost_usd"] for each in ours]
    assert round(about.pop("cost_usd") * 1e6) == round(sum(costs) * 1e6) > 0
    assert about == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "atxp",
        "gen_ai.agent.name": "clerk",
        "gen_ai.request.model": "m",
        "agent_team.turns": 2,
        "agent_team.task": "desk",
        "agent_team.agent": "clerk",
        "agent_team.run": RUN,
        "agent_team.team": "brief",
    }


def test_everything_that_the_run_does_is_below_its_span(evidence: Evidence) -> None:
    spans = the_trace(evidence)
    by_id = {each.span.span_id: each for each in spans}
    [run] = named(spans, "invoke_workflow brief")
    for each in spans:
        if each.span.name.startswith("RunActivity:"):
            while each.span.span_id != run.span.span_id:
                each = by_id[each.span.parent_span_id]


def test_the_tools_server_gets_the_span_of_its_call(evidence: Evidence) -> None:
    """In `_meta`, as MCP has it (SEP-414)."""
    [tool] = named(the_trace(evidence), "execute_tool meta")
    _, trace, parent, flags = evidence.tool_meta["traceparent"].split("-")
    assert (trace, flags) == (tool.span.trace_id.hex(), "01")
    ids = {each.span.span_id.hex(): each for each in evidence.received.spans}
    sender = ids[parent]
    assert sender is tool or sender.span.parent_span_id == tool.span.span_id
