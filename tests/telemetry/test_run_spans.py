"""Ids of spans that outlast an execution of the run: they follow from what the span is about."""

from durable_agent_team.process.run_spans import RunSpan, carrier_of, context_of, span_below

HEADER = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
UNSAMPLED = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}


def test_the_next_execution_has_the_same_span() -> None:
    parent = context_of(HEADER)
    run = RunSpan(span_below(parent, "run"), parent, 7, "brief")
    assert RunSpan.from_header(run.header(), "brief") == run
    root = RunSpan(span_below(parent, "run"), None, 7, "brief")
    assert RunSpan.from_header(root.header(), "brief") == root


def test_the_same_name_has_the_same_span_in_the_parents_trace() -> None:
    parent = context_of(HEADER)
    first, again = span_below(parent, "a:0"), span_below(parent, "a:0")
    assert first == again
    assert first.span_id not in (parent.span_id, span_below(parent, "a:1").span_id)
    assert first.trace_id == parent.trace_id
    assert context_of(carrier_of(first)).span_id == first.span_id


def test_what_is_not_sampled_stays_so() -> None:
    assert not span_below(context_of(UNSAMPLED), "a:0").trace_flags.sampled


def test_without_a_trace_there_is_none() -> None:
    assert not context_of({}).is_valid
