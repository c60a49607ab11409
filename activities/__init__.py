"""Everything a run does outside of its workflow: calls to models, accounts, notifications.

Activities implement the interfaces of `durable_agent_team.contracts.activity_interfaces`. Temporal
retries them, so each may be repeated without harm; the call of a tool whose effect happens once is
attempted once (docs/adr/050). Each turns its errors into one of `ErrorType` (`error_translation`).

- `accounts` and `notifications`: an activity class each
- `calls`: paid calls to models; `conversations`: those of agents with tools
- `judging`: the checks of answers
- `programs`, `tools`: agents that are programs, and tools of agents

Decisions about retries, budgets and tasks belong in `workflows`. Start with `calls.call_agent`.
"""
