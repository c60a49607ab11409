"""The same jobs as plain Temporal workflows: what Temporal alone costs, without our promises."""
