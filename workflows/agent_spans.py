"""Spans of agents with tools, through functions that a worker whose traces are on offers to its
workflows (`durable_agent_team.process.run_spans`). They change no command of the workflow."""

from decimal import Decimal
from typing import Any, Final

from temporalio import workflow

from durable_agent_team.contracts.telemetry_labels import AGENT, BEGIN_SPAN, END_SPAN, TASK
from workflows.state.conversation import AgentSpan, ConversationState

CANCELLED: Final = "cancelled"


def begin_agent_span(state: ConversationState) -> None:
    """Begins the span of the conversation, unless one is open."""
    if state.span is not None:
        return
    begin = workflow.extern_functions().get(BEGIN_SPAN)
    trace = begin(f"{state.id}:{state.turns}") if begin is not None else {}
    state.span = AgentSpan(dict(trace), workflow.time_ns(), state.turns)


def end_agent_span(state: ConversationState, task: str, error: str | None = None) -> None:
    """Ends it. `error` is the type of the failure, if there is no answer."""
    span, state.span = state.span, None
    end = workflow.extern_functions().get(END_SPAN)
    if span is None or not span.trace or end is None:
        return
    turns = state.log[span.first_turn :]
    about: dict[str, Any] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "atxp",
        "gen_ai.agent.name": state.agent,
        "gen_ai.conversation.id": state.id,
        "gen_ai.usage.input_tokens": sum(each.usage.prompt_tokens for each in turns),
        "gen_ai.usage.output_tokens": sum(each.usage.completion_tokens for each in turns),
        "cost_usd": float(sum((each.cost_usd for each in turns), Decimal(0))),
        "agent_team.turns": len(turns),
        TASK: task,
        AGENT: state.agent,
    }
    if turns:
        about["gen_ai.request.model"] = turns[-1].model
    end(f"invoke_agent {state.agent}", span.trace, span.started_ns, about, error)
