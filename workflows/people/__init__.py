"""What waits for a person, and what a person changes.

`approval.py` waits for the approval of a plan, `parking.py` for money or a retry. `deadline.py` is
the time after which nothing new starts, and `adjustments.py` checks and applies new settings for an
agent or the run. The handlers that receive all this are in `workflows.handlers`.

Imports `workflows.state` and the modules next to the packages.
"""
