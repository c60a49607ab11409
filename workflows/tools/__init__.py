"""The calls of tools that an agent's turn asks for.

`tool_calls.py` makes them: each waits for its own approval (`workflows.people.approval`), is made
by an activity, and waits for a person where nobody knows whether it has had its effect.

Imports `workflows.people`, `money` and `state`. The turns themselves are in `workflows.tasks`.
"""
