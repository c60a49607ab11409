"""The workflow sandbox with the settings of the real worker."""

from temporalio.worker import WorkflowRunner

from durable_agent_team.process.settings import ClientSettings
from durable_agent_team.worker_sdk.patched_worker import sandboxed_runner
from worker import PASSED_THROUGH


def strict_runner() -> WorkflowRunner:
    """The sandbox as the worker has it; the SDK's own one under `pytest --vanilla`."""
    return sandboxed_runner(PASSED_THROUGH, ClientSettings().sdk_patches)
