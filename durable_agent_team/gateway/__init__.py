"""The ATXP-compatible gateway: agents' accounts, their ledgers, and paid chat completions.

It is a server of its own (`python -m durable_agent_team.gateway`) and imports nothing of this
project but `providers`; the rest of the project reaches it over HTTP only.

- `api`: HTTP routes, authentication, error responses, request logs and spans.
- `calls`: the money rules of one paid call: parse and bound the request, reserve, interpret the
  answer, settle. Defines the protocol that every upstream implements.
- `upstreams`: connections to model providers, and the bundled model.
- `models`: what can be called, where, and at which prices.
- `doors`: other formats of requests and answers, translated from and into chat completions.
- `stores`: accounts, calls and the ledger, in SQLite.
- Modules directly in this package: `server` puts everything together, `gateway_settings` and the
  modules of logs and telemetry configure the process, and the others are shared by all layers.

`pyproject.toml` lists the layers, and enforces them.

To read the code, start with `calls/call_service.py`, then `stores/store.py`.
"""
