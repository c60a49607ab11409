"""The ATXP-compatible gateway: agents' accounts, their ledgers, and paid chat completions.

It is a server of its own (`python -m durable_agent_team.gateway`) and imports nothing else of this
project; the rest of the project reaches it over HTTP only.

- `api`: HTTP routes, authentication, error responses, request logs and spans.
- `calls`: the money rules of one paid call: parse and bound the request, reserve, interpret the
  answer, settle. Defines the protocol that every upstream implements.
- `upstreams`: connections to model providers, and the bundled model.
- `stores`: accounts, calls and the ledger, in SQLite.
- Modules directly in this package: `server` puts everything together; `gateway_settings`,
  `otel_providers` and `log_format` configure the process; `amounts`, `api_error`, `json_bodies`,
  `strict_json`, `keys`, `request_labels` and `instruments` are used by every layer and import none
  of them.

The layers, from top to bottom: `server`, then `api` and `upstreams` (neither imports the other),
`calls`, `stores`, the shared modules. `pyproject.toml` enforces them.

To read the code, start with `calls/call_service.py`, then `stores/store.py`.
"""
