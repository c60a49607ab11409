"""Errors of judging."""


class InvalidSchema(Exception):
    """A task's `output` is not a JSON Schema that answers can be checked against."""


class CheckStopped(Exception):
    """The process that checks was stopped before it had a result: too slow, or too much memory."""
