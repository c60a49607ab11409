"""One process a peer, run by the peer's own Python: nothing here may import the project's rooms."""
