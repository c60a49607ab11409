"""Functions of a team's own as tools: each call in a process that can be killed.

`python_tools` describes and calls them. `host_process` is the worker's side of
`durable_agent_team.agents.tool_host`, under the supervisor that programs have; `host_pool` keeps
such processes for the next call (docs/adr/046).
"""
