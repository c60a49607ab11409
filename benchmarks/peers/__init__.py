"""`make bench PEERS=1`: the same jobs on other engines, in turns."""
