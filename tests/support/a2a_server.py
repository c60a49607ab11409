"""Remote agents of the official a2a-sdk, in the process of the test: A2A 1.0 and 0.3."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from a2a.helpers.proto_helpers import new_task_from_user_message
from a2a.server.agent_execution.agent_executor import AgentExecutor
from a2a.server.agent_execution.context import RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers.default_request_handler_v2 import DefaultRequestHandlerV2
from a2a.server.routes.agent_card_routes import create_agent_card_routes
from a2a.server.routes.jsonrpc_routes import create_jsonrpc_routes
from a2a.server.routes.rest_routes import create_rest_routes
from a2a.server.tasks.inmemory_task_store import InMemoryTaskStore
from a2a.server.tasks.task_updater import TaskUpdater
from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    Message,
    Part,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

Behaviour = Callable[["Turn"], Awaitable[None]]


@dataclass
class Turn:
    """One message that arrived, and what can be done with its task."""

    context: RequestContext
    updater: TaskUpdater
    queue: EventQueue
    is_first: bool

    @property
    def text(self) -> str:
        return self.context.get_user_input()

    @property
    def task_id(self) -> str:
        return self.context.task_id or ""

    def message(self, text: str) -> Message:
        return self.updater.new_agent_message([Part(text=text)])

    async def answer(self, *parts: Part) -> None:
        """As an artifact, which completes the task."""
        await self.updater.add_artifact(list(parts))
        await self.updater.complete()


@dataclass
class RemoteAgent(AgentExecutor):
    """Does what `behaviour` says with each message; keeps what it saw."""

    behaviour: Behaviour
    url: str = ""
    turns: list[Turn] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path and headers of every HTTP request."""
    cancelled: list[str] = field(default_factory=list)

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.message is not None
        is_first = context.current_task is None
        if is_first:
            await event_queue.enqueue_event(new_task_from_user_message(context.message))
        assert context.task_id is not None
        assert context.context_id is not None
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        turn = Turn(context, updater, event_queue, is_first)
        self.turns.append(turn)
        await self.behaviour(turn)

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.task_id is not None
        assert context.context_id is not None
        self.cancelled.append(context.task_id)
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


@asynccontextmanager
async def remote_agent(
    behaviour: Behaviour, binding: str = "JSONRPC", version: str = "1.0"
) -> AsyncIterator[RemoteAgent]:
    """The agent at its address, whose card names one interface."""
    agent = RemoteAgent(behaviour)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    agent.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    path = "/rpc" if binding == "JSONRPC" else "/rest"
    interface = AgentInterface(
        url=agent.url + path, protocol_binding=binding, protocol_version=version
    )
    card = AgentCard(
        name="remote",
        description="an agent elsewhere",
        version="1",
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["text/plain", "application/json"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="work", name="work", description="works", tags=["work"])],
        supported_interfaces=[interface],
    )
    handler = DefaultRequestHandlerV2(agent, InMemoryTaskStore(), card)
    is_old = version == "0.3"
    routes = [
        *create_agent_card_routes(card),
        *create_jsonrpc_routes(handler, "/rpc", enable_v0_3_compat=is_old),
        *create_rest_routes(handler, enable_v0_3_compat=is_old, path_prefix="/rest"),
    ]
    app = _recording(Starlette(routes=routes), agent)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    server.config.setup_event_loop = lambda: None  # type: ignore[method-assign]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield agent
    finally:
        server.should_exit = server.force_exit = True
        await serving
        listener.close()
        await _end_tasks_of_sdk()


async def _end_tasks_of_sdk() -> None:
    """What the SDK leaves running for tasks that have not ended."""
    left = [each for each in asyncio.all_tasks() if "ActiveTask." in repr(each.get_coro())]
    for each in left:
        each.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def _recording(app: ASGIApp, agent: RemoteAgent) -> ASGIApp:
    async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            agent.requests.append((request.url.path, dict(request.headers)))
        await app(scope, receive, send)

    return recorded
