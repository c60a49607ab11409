"""Accounts, calls and the ledger. `store.py` is the interface, SQLite the implementation.

A store enforces the limits: it refuses what an account cannot pay, whatever runs concurrently. It
knows nothing about HTTP, prices or upstreams, and imports only the gateway's shared modules. Start
with `store.py`, then `sqlite_schema.py`.
"""
