"""The orchestrator workflow: deterministic code, without I/O.

Start at `orchestrator.py`: `Orchestrator.run` and `_steps` are the life of a run. `handlers.py`
has the queries, signals and updates, `commands.py` what the updates do, and `run.py` puts the
parts of a run together. Below them, each package importing only those after it:

- `plans`: the orchestrator agent's own steps (plan, review, final answer), and added tasks
- `tasks`: the tasks of a plan, and the paid calls that each of them takes
- `tools`: the calls of tools that a turn of an agent asks for
- `people`: what waits for a person, and what a person changes
- `money`: the accounts of a run
- `state`: what a run knows, and how it is shown

The modules next to this file that the packages use: `policies.py` (every timeout and retry),
`activity_executor.py` (the only way to a counted activity), `command_turns.py`,
`activity_errors.py`, `task_exceptions.py`, `timed_wait.py` (every wait with a timeout) and
`agent_spans.py`.

Workflow code imports `durable_agent_team.contracts` and `.rules`, and nothing else of the project.
No clock but `workflow.now()`, no randomness but `workflow.uuid4()`, no module-level state: runs
share the modules (docs/adr/022). Code that does I/O belongs in `activities/`; a rule that the
command line also needs belongs in `durable_agent_team.rules`. A change that adds, removes or moves
a command breaks the runs that are open: `tests/replay` replays recorded histories.
"""
