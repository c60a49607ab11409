"""A durable, budgeted multi-agent orchestrator."""
