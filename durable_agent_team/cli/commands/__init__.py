"""The commands, in one file for each group of them.

A file declares its commands with Typer, and does their work. At the top it imports only what a
declaration needs, and everything else inside the functions: `starter.py COMMAND --help` takes 0.3
seconds, and the Temporal SDK alone twice as long. What is printed is formatted in `ui/` and
printed by `output.py`, which makes it safe for a terminal.

A new command also needs its line in `cli/command_group.py` and its section in `docs/commands.md`;
tests compare all three. Commands do not import each other.
"""
