"""A tour of the errors that a user can meet: each one is provoked, and its text checked.

`python -m tests.docs.tour` provokes them all and writes `docs/errors.md`.
"""
