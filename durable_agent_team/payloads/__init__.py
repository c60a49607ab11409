"""How contracts become Temporal payloads."""
