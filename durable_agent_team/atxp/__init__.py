"""The client of the provider that holds the money: accounts, chat completions, keys at rest.

ATXP's account API and the project's own gateway are the same to it; another provider needs a class
that implements `provider.AccountProvider`. All requests go through `transport.exchange`: one
request, no retry, and every failure is an `exceptions.AtxpError` without keys in its text.

- `account_api`, `chat_client`, `tool_charges`, `pricing`: requests, answers and what they cost
- `httpx_client`, `http_client`: the HTTP clients of the command line and of the worker
- `sealing`: encryption of the agents' keys, needs `cryptography`

Used by `activities` and by the command line. Retries and decisions belong to `workflows`. Start
with `provider`.
"""
