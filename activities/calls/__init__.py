"""One paid call to a model: the request's body, the exchange, its telemetry.

`call_agent` is the activity. `request_body` and `output_formats` build the request;
`answer_reading` distinguishes a complete answer, one that was cut off, a refusal, and thinking
without an answer (`thinking_blocks`, and `finish_reasons` in `providers`); `activities.judging`
decides whether an answer is accepted; `spans` and `metrics` record each attempt. No text of a
prompt or an answer may enter a span, a metric or a log line.
"""
