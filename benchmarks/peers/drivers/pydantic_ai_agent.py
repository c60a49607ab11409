"""The Pydantic AI agent of the benchmark: made once in the worker, passed through the sandbox."""

# mypy: disable-error-code="import-not-found, arg-type"
# The packages are in the peer's own environment.

import os
from datetime import timedelta

from openai import AsyncOpenAI
from pydantic_ai import Agent, ModelSettings
from pydantic_ai.durable_exec.temporal import TemporalDurability
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from temporalio.workflow import ActivityConfig

from benchmarks.peers.drivers.wire import INSTRUCTIONS, MAX_TOKENS, MODEL, http_client


def _model() -> OpenAIChatModel:
    """No retries below Temporal's own, as Pydantic AI advises."""
    transport = os.environ["PEERS_TRANSPORT"]
    client = AsyncOpenAI(
        base_url=os.environ["PEERS_UPSTREAM"],
        api_key=os.environ["PEERS_API_KEY"],
        max_retries=0,
        http_client=None if transport == "native" else http_client(transport, ""),
    )
    return OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=client))


def _durability() -> TemporalDurability[None]:
    """As it comes (a heartbeat timeout of 30 s), or with another one."""
    seconds = float(os.environ["PEERS_HEARTBEAT"])
    if not seconds:
        return TemporalDurability()
    timeout = timedelta(seconds=seconds)
    return TemporalDurability(model_activity_config=ActivityConfig(heartbeat_timeout=timeout))


agent = Agent(
    _model(),
    name="analyst",
    instructions=INSTRUCTIONS,
    model_settings=ModelSettings(max_tokens=MAX_TOKENS, temperature=0),
    capabilities=[_durability()],
)
