"""What every process sets up before its own work: settings, logs, telemetry, its exit.

- `settings` reads `.env`, the environment and the local stack's values into typed objects, once, at
  the composition root; `setting_types` validates. Start reading here.
- `stack_state` reads and writes the state of the local stack, since settings may come from a stack
  that is up.
- `logs`, `telemetry`, `temporal_runtime`, `team_interceptor`, `run_spans`, `redacted_spans`:
  observability.
- `interpreter_exit` ends a process that used a Temporal client, with its own exit code;
  `interruption` ends one that is interrupted while it loads.
- `open_files` looks whether the process may open as many files as it needs.
- `stuck_process` ends a worker that is blocked, or that does not end after SIGTERM.
- `project_root` and `extras` know the folders and the optional dependencies of an installation,
  `called_program` how the command line was called.

Does not belong here: what only one kind of process needs (`client`, `local_stack`, `cli`,
`worker.py`). The gateway has its own settings, logs and telemetry: it is deployed without Temporal.
"""
