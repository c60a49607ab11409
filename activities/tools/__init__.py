"""Tools of agents: what they are, and one call of one.

`tool_activities` has the activities, and `tool_call` one dispatch for the three kinds: tools of MCP
servers (`mcp`), functions of the team's own (`functions`) and those that every worker has
(`built_in`). Each kind answers with a `CalledTool` or raises one of `exceptions`; what is the same
for all of them stands here: the mark before an effect, the charge, the bound of a result, spans and
metrics.

Decisions about retries, approvals and people belong in `workflows.tools`.
"""
