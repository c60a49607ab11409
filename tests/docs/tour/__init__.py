"""A tour of the errors that a person can meet: each one really made, its text looked at.

`python -m tests.docs.tour` makes them all and writes `docs/errors.md`.
"""
