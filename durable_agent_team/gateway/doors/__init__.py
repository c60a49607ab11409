"""Translations between the formats of requests and answers; chat completions is the one that the
rest of the gateway works with.

A request comes in by one door (`/v1/chat/completions`, `/v1/responses`, `/v1/messages`) and becomes
a chat request; the answer, a chat answer, becomes what the door's clients expect. For upstreams
that speak Anthropic's Messages or OpenAI's Responses, `to_messages_*` and `to_responses_*`
translate the chat request, `from_messages_*` and `from_responses_*` the answer. What another format
cannot express is refused by name, never left out.

Pure: dictionaries in, dictionaries out, no HTTP and no money. May import only the gateway's shared
modules. Start with `responses_request.py` and `fields.py`.
"""
