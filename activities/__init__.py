"""Everything that touches the world: accounts, paid calls, checks, and what becomes of errors."""
