"""`make bench`: what a run costs in time and history, beside plain asyncio, in one run."""
