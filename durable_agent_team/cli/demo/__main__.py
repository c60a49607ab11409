"""`python -m durable_agent_team.cli.demo`: four short acts with a real model (`make demo`)."""

from durable_agent_team.process.interruption import end_quietly

end_quietly()

from durable_agent_team.cli.demo.four_acts import main  # noqa: E402
from durable_agent_team.process.interpreter_exit import exit_process  # noqa: E402

if __name__ == "__main__":
    code = main()
    end_quietly()
    exit_process(code)
