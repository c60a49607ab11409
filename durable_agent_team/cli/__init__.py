"""The command line, `starter.py`: it parses arguments, uses the client, and prints.

- `app.py` runs one command and turns its outcome into an exit code (`exit_codes.py`).
- `command_group.py` lists the commands, and imports the one that is called.
- `commands/` contains the commands, one file for each group of them.
- `ui/` contains what they draw and print: tables, the live view, graphs, reports.
- `demo/` is `make demo`, a program of its own.
- The other modules here are used by several commands: arguments and options, the connection to
  Temporal, team files as start inputs, the messages that are sent to a run.

What a Python program could use as well belongs in `client/`; checks and estimates belong in
`rules/`. This package imports neither the gateway nor workflows, activities and the worker's
packages. Start reading at `command_group.py`, then `commands/start_run.py`.
"""
