"""Clients of the Responses API that must not be told the id of a response that calls a tool.

The id of a response is of use to a client that asks for what is stored under it. Here nothing is
stored, and `store: false` in a response says so, but not everybody looks at it: Microsoft's Agent
Framework sends `previous_response_id` with a tool's result wherever a response has an id and its
own options do not say `store: False`, and the whole conversation where it has none
(`agent_framework_openai/_chat_client.py`, `_get_conversation_id`). Its client is known by its name
in `User-Agent`. For all others, who may require an id, a response has one.

An answer without calls has its id for this client too. In the next turn of a session the client
sends what is new, with that id or without one; with it, the gateway can refuse the request by name,
and without it, the model would answer as if nothing had been said before (docs/adr/054).
"""

from durable_agent_team.gateway.doors.fields import Json

REFERRING = ("agent-framework-",)
"""Parts of a `User-Agent`, in lower case."""
UNNAMED = "_unnamed"
"""A field that is set in a request for such a client. A client cannot send it: it is not known."""


def for_its_client(sent: Json, user_agent: str) -> Json:
    """The fields of a request that its answer is made with."""
    if sent.get("store") is False or not any(each in user_agent.lower() for each in REFERRING):
        return sent
    return {**sent, UNNAMED: True}
