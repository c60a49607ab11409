"""The orchestrator: deterministic, no I/O. Start reading at `orchestrator.py`."""
