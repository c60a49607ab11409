"""Turns of agents with tools: what is known of a conversation, its body, and what the model says.

- `known_conversations`: the conversations that this worker has made turns of
- `conversation_body`: messages and tools, for models that take tools
- `action_form`: the same for models that do not: they fill the schema of an action
- `turn_reading`: the calls that a model asks for, each checked before it goes to the workflow
"""
