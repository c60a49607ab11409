"""Translations between the formats of requests and answers; chat completions is the one that the
rest of the gateway works with.

A request comes in by one door (`/v1/chat/completions`, `/v1/responses`, `/v1/messages`) and becomes
a chat request; the answer, a chat answer, becomes what the door's clients expect. `to_messages_*`
and `from_messages_*` do the same towards upstreams that speak Anthropic's Messages. What another
format cannot express is refused by name, never left out.

Pure: dictionaries in, dictionaries out, no HTTP and no money. May import the gateway's
shared modules only. Start
with `responses_request.py` and `fields.py`.
"""
