"""Connections to model providers: each implements `calls.upstream_protocol.Upstream`.

An upstream sends one request, once, and returns what `calls.answer` makes of the response. It does
not retry, and knows nothing about accounts. May import `calls` and the gateway's shared modules,
and, for the cause of an interruption, `stores.store`, but not `api`. Start with `http_upstream.py`;
`bundled_model_upstream.py` runs the bundled model in a process of its own.
"""
