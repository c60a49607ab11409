"""`make demo`: four runs with a real model on the local stack, each checked afterwards.

`four_acts.py` is the script, `demo_acts.py` starts and follows a run and kills the worker,
`tool_act.py` is the act in which a tool is interrupted. `run_evidence.py` collects what is known of
a run without asking it, and `run_checks.py` compares that with the guarantees. The demo imports
`ui/`, the client and the local stack, not the commands.
"""
