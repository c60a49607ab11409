"""A paid call: bounded, made, settled."""
