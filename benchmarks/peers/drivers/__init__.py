"""A process for each peer, run by the peer's own Python: imports none of the project's packages."""
