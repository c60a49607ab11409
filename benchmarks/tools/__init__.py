"""The tools of agents that are measured: imported by our workers and by the drivers of the peers,
so they import nothing but the standard library."""
