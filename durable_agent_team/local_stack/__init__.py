"""The local stack: Temporal's dev server, the gateway and a worker as child processes, supervised.

- `lifecycle` has the two functions for callers: `running_stack` finds the stack that is up, and
  `local_stack` uses it or runs one for the duration of a block. Start reading here.
- `foreground` keeps a stack in the foreground (`make up`).
- `stack` starts and stops the processes in order; `child_process` keeps one of them alive.
- `gateway_check` says what can be called, `disk_space` whether there is room.
- `stack_plan` has the settings, ports, secrets and command lines.

Does not belong here: the state file of a running stack (`process.stack_state`), which settings read
too, and anything a deployment needs: see docker-compose.yml.

It runs the gateway and the worker as commands and imports neither.
"""
