"""Agents that are programs: a child process for each call, in an environment of its own.

`run_program` is the activity. A `runner.Runner` runs one kind of program: `process_runner` those
that are processes here, `remote.remote_runner` agents elsewhere. `supervised_process` starts one
under `supervisor`, which ends it for certain; `child_environment` decides what it gets of the
worker, `work_directories` where it works, `environments` which Python it runs on. `scope_account`
asks the gateway what a scope has cost and why it was refused; `secret_scrubber` removes keys from
whatever a program says.
"""
