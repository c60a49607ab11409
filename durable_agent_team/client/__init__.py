"""The typed client: starts, watches and controls runs over Temporal.

The command line uses it, and so can any program: `from durable_agent_team import connect, …`. Start
reading at `runs.py` (start, list) and `run_handle.py` (one run); `run_control.py` has the signals
and updates. `run_history.py` reads what Temporal recorded (`recorded_activities.py`,
`recorded_calls.py`, `recorded_tools.py`), for runs that no worker can answer for, and
`terminated_runs.py` corrects the answers of a run that Temporal ended. Every error is a type
of `exceptions.py`, or `ServiceUnavailable` of `connection.py`.

It does not print, exit, or read team files. It imports nothing of the worker, and needs only the
core dependencies.
"""
