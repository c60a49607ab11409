"""The ATXP client: accounts behind one protocol, chat completions, and the sealing of keys."""
