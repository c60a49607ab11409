"""Reads team files and task files: YAML in, a checked contract out, or every problem at once.

Start reading at `team_file.py` (`load_team`) and `task_file.py` (`load_task`). `yaml_document.py`
parses YAML and keeps the line of each key, `yaml_file.py` reads a file and collects its problems,
`error_messages.py` turns pydantic's errors into messages for the author of the file.

Checks of a team as a whole (its graph, budgets, names) are rules, in `rules/validation.py`. It
imports `contracts` and `rules`, and does not connect to anything.
"""
