"""Agents elsewhere, by A2A 1.0 and 0.3 (https://a2a-protocol.org): `run: {a2a: URL}`.

`agent_card` chooses one of the agent's interfaces, `wire` writes its requests and reads its
responses, `remote_task` reads tasks, `task_message` writes the messages, `json_http` exchanges them
within bounds, and `conversation` is the course of it: send, poll, ask a person, cancel. Only
`conversation` knows of attempts, and nothing here knows of Temporal.

The client is our own (docs/adr/041): three operations, read leniently, since servers differ.
"""
