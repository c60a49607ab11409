"""The whole state of a run as one message: what its next execution starts with.

Made from the dataclasses of this package as they are, so that a new field is carried without a word
here. What is not carried is marked with `exclude`, or is not part of the state.
"""

from dataclasses import replace
from functools import cache

from pydantic import TypeAdapter

from durable_agent_team.contracts.run_snapshot import RunSnapshot
from workflows.state.progress import Progress


class UnreadableSnapshot(Exception):
    """Another version's, or broken: a worker with this code cannot take up the run."""


@cache
def _adapter() -> TypeAdapter[Progress]:
    return TypeAdapter(Progress)


def snapshot_of(progress: Progress) -> RunSnapshot:
    """For the next execution. Where there is a plan, it is the one place for the tasks."""
    carried = replace(progress, execution=progress.execution + 1)
    if carried.request is not None and carried.tasks.plan is not None:
        team = carried.team.model_copy(update={"tasks": ()})
        carried.request = carried.request.model_copy(update={"team": team})
    state = _adapter().dump_json(carried, exclude_unset=True)
    return RunSnapshot.of(carried.execution, state)


def progress_of(snapshot: RunSnapshot) -> Progress:
    """Raises UnreadableSnapshot."""
    try:
        return _adapter().validate_json(snapshot.json_state())
    except ValueError as error:
        raise UnreadableSnapshot(str(error)[:2000]) from error
