"""`python -m conformance URL`: kills, races and breaks any OpenAI-compatible gateway with budgets,
and compares what its books say with what an upstream of its own was called for.

It imports nothing of the project and needs only httpx, so that it can be run anywhere.
"""
