"""What a model provider's error means, in whichever spelling: pure, for the gateway and the worker.

`error_body` finds the error in a response, `error_kind` says whether waiting helps, whether the
operator's money is gone, or neither, and `waits` how long the provider asks to wait.

Does not belong here: what follows from it (the gateway's `calls` and `upstreams`, `activities`). It
imports nothing of the project, since the gateway stands alone. Start with `error_kind.py`.
"""
