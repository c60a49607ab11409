"""`python -m durable_agent_team.local_stack`: the local stack in the foreground (`make up`)."""

from durable_agent_team.process.interruption import end_quietly

end_quietly()

from durable_agent_team.local_stack.foreground import main  # noqa: E402
from durable_agent_team.process.interpreter_exit import exit_process  # noqa: E402

if __name__ == "__main__":
    code = main()
    end_quietly()
    exit_process(code)
