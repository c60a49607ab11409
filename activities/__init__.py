"""Everything a run does outside of its workflow: calls to models, accounts, notifications.

Activities implement the interfaces of `durable_agent_team.contracts.activity_interfaces`. Each may
be repeated without harm, since Temporal retries it, and each turns its errors into one of
`ErrorType` (`error_translation`). `calls` contains the paid model calls.

Decisions about retries, budgets and tasks belong in `workflows`. May import `atxp`, `contracts` and
`rules`. Start with `calls.call_agent`.
"""
