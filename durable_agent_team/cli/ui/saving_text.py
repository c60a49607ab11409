"""What a run takes over from the one that it continues, in a sentence."""

from durable_agent_team.cli.output import flat, usd
from durable_agent_team.client.reruns import Saving
from durable_agent_team.rules.counts import counted


def saving_text(saving: Saving) -> str:
    """Such as: 3 tasks taken over from RUN, 0.0123 USD not paid again; 2 tasks will run."""
    taken = counted(len(saving.tasks_taken_over), "task")
    text = f"{taken} taken over from {flat(saving.reused_from)}"
    text += f", {usd(saving.reused_usd)} USD not paid again; "
    if saving.plans:
        return text + "the orchestrator makes the plan"
    if saving.tasks_to_run:
        return text + f"{counted(len(saving.tasks_to_run), 'task')} will run"
    return text + ("the answer is written anew" if saving.answers else "nothing has to run")
