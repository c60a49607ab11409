"""The course of one remote task: send or continue, poll until it ends, cancel."""

import asyncio
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from activities.programs.remote import task_message
from activities.programs.remote.agent_card import (
    Interface,
    card_urls,
    chosen_interface,
    origin,
)
from activities.programs.remote.json_http import JsonHttp
from activities.programs.remote.remote_errors import (
    InputNeeded,
    RemoteFailed,
    RemoteUnavailable,
    RpcError,
)
from activities.programs.remote.remote_task import (
    COMPLETED,
    REJECTED,
    UNSUCCESSFUL,
    RemoteMessage,
    RemoteTask,
    read_task,
    task_or_message,
)
from activities.programs.remote.wire import (
    TASK_NOT_FOUND,
    HttpRequest,
    Outgoing,
    Wire,
    json_value,
)
from activities.programs.remote_progress import Progress
from durable_agent_team.contracts.program import ProgramCall

CARD_SECONDS: Final = 15.0
CARD_BYTES: Final = 512 * 1024
GET_SECONDS: Final = 30.0
CANCEL_SECONDS: Final = 4.0
HISTORY: Final = 10
"""Messages that are read where a task's artifacts and status have no text, and of a task that goes
on; langgraph-api refuses more."""
FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
PAUSE_GROWTH: Final = 1.5
REPLY_SECONDS: Final = 10.0
"""For a server that takes a reply and shows its question for a while."""
FAILED_POLLS: Final = 5
"""In a row; then another attempt continues the same task."""


class Conversation:
    """With one agent, about one execution. Raises `RemoteError` and `RpcError`."""

    def __init__(self, http: JsonHttp, call: ProgramCall, progress: Progress) -> None:
        self._http = http
        self._call = call
        self._progress = progress
        self._chosen: Wire | None = None
        self._answered: RemoteTask | None = None
        """The task as it asked, before the person's reply was sent."""

    async def discover(self, address: str, *, with_secrets: bool) -> None:
        """Reads the agent card. Headers with secrets go to the host that the team file names, and
        to no other that a card may name."""
        interface = await self._interface(address)
        if with_secrets and origin(interface.url) != origin(address):
            raise RemoteFailed(
                "its agent card names an address at another host or port, where the headers of"
                " `run` do not go: name an address there in `a2a`",
                permanent=True,
            )
        self._chosen = Wire(interface)

    async def answer(self) -> tuple[str, str | None]:
        """The answer, and the id of the task where there is one."""
        begun = await self._begin()
        if isinstance(begun, RemoteMessage):
            return begun.shown(self._wants_json), None
        return await self._outcome(await self._ended(begun)), begun.id

    async def cancel(self) -> None:
        """Tells the agent to end its task. Where it does not say that the task has ended, the next
        attempt continues it."""
        task_id = self._progress.now.remote_task
        if task_id is None or self._chosen is None:
            return
        try:
            async with asyncio.timeout(CANCEL_SECONDS):
                result = await self._exchange(self._wire.cancel(task_id), CANCEL_SECONDS)
            has_ended = read_task(result).has_ended
        except RpcError as error:
            has_ended = error.code == TASK_NOT_FOUND
        except (RemoteUnavailable, RemoteFailed, TimeoutError):
            return
        if has_ended:
            self._progress.save(remote_task=None, ended=self._progress.now.ended + 1)

    @property
    def _wire(self) -> Wire:
        assert self._chosen is not None, "discover the agent first"
        return self._chosen

    @property
    def _wants_json(self) -> bool:
        return task_message.wants_json(self._call)

    async def _interface(self, address: str) -> Interface:
        for url in card_urls(address):
            request = HttpRequest("GET", url, {"Accept": "application/json"})
            response = await self._http.exchange(request, CARD_SECONDS, CARD_BYTES)
            if response.status == 200:
                return chosen_interface(json_value(response.body), url)
            if response.status not in (404, 405, 410):
                break
        raise RemoteFailed(
            f"it gives no agent card (HTTP {response.status} at {urlsplit(url).path}): name the"
            " address of the agent, or of its card, in `a2a`",
            permanent=True,
        )

    async def _begin(self) -> RemoteTask | RemoteMessage:
        """The task that runs there now, for this execution or an attempt before; else a new one."""
        call, now = self._call, self._progress.now
        known = await self._known(now.remote_task or call.remote_task)
        if known is None:
            return await self._send(self._whole())
        if call.reply is not None and known.asks and not now.replied:
            return await self._reply(known, call.reply)
        is_repair = call.call.rejected is not None and call.reply is None
        if is_repair and now.remote_task is None and known.state == COMPLETED:
            return await self._repair(known)
        if known.state in UNSUCCESSFUL:
            return await self._send(self._whole())
        self._progress.save(remote_task=known.id)
        return known

    async def _known(self, task_id: str | None) -> RemoteTask | None:
        """None also where the server has forgotten it: then it gets the whole task again."""
        if task_id is None:
            return None
        try:
            return await self._read(task_id, HISTORY)
        except RpcError as error:
            if error.code == TASK_NOT_FOUND:
                return None
            raise

    async def _reply(self, asking: RemoteTask, reply: str) -> RemoteTask | RemoteMessage:
        message = task_message.reply_message(self._call, reply)
        if asking.has_message(message.message_id):
            self._progress.save(remote_task=asking.id, replied=True)
            return asking
        message = replace(message, task_id=asking.id, context_id=asking.context_id)
        sent = await self._send(message)
        self._progress.save(replied=True)
        self._answered = asking
        return sent

    async def _repair(self, ended: RemoteTask) -> RemoteTask | RemoteMessage:
        """A new task, since one that has ended takes no message, in the same context."""
        message = task_message.repair_message(
            self._call, self._progress.now.ended, with_data=self._wire.interface.takes_json
        )
        after = replace(message, context_id=ended.context_id, references=(ended.id,))
        return await self._send(after)

    async def _send(self, message: Outgoing) -> RemoteTask | RemoteMessage:
        try:
            sent = task_or_message(await self._exchange(self._wire.send(message), None))
        except RpcError:
            self._progress.save(ended=self._progress.now.ended + 1)
            raise
        if isinstance(sent, RemoteTask):
            self._progress.save(remote_task=sent.id)
        return sent

    async def _ended(self, task: RemoteTask) -> RemoteTask:
        """Polls, with growing pauses. The agent's own time limit ends it from outside."""
        pause, failed, waited = FIRST_PAUSE, 0, 0.0
        while not task.has_ended and not (task.asks and self._is_new(task, waited)):
            await asyncio.sleep(pause)
            waited += pause
            pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE)
            try:
                task, failed = await self._read(task.id, 0), 0
            except RemoteUnavailable:
                failed += 1
                if failed == FAILED_POLLS:
                    raise
            except RpcError as error:
                raise _forgotten(error) from None
        return task

    def _is_new(self, asking: RemoteTask, waited: float) -> bool:
        """Whether it asks anew, and does not only show the question that was just answered."""
        before = self._answered
        if before is None or waited > REPLY_SECONDS:
            return True
        if asking.since != before.since:
            return True
        # Servers of a2a-sdk 0.3 move the question into the history as soon as a reply arrives.
        return asking.status is not None and asking.status != before.status

    async def _outcome(self, task: RemoteTask) -> str:
        wants_json = self._wants_json
        if not task.answer(wants_json):
            task = await self._read(task.id, HISTORY)
        if task.state == COMPLETED:
            return task.answer(wants_json)
        said = task.said()
        if task.asks:
            raise InputNeeded(said or task.answer(), task.id)
        self._progress.save(remote_task=None, ended=self._progress.now.ended + 1)
        words = f": {said}" if said else ", without a reason"
        raise RemoteFailed(
            f"its task ended as {task.state}{words}", permanent=task.state == REJECTED
        )

    async def _read(self, task_id: str, history: int) -> RemoteTask:
        return read_task(await self._exchange(self._wire.get(task_id, history), GET_SECONDS))

    async def _exchange(self, request: HttpRequest, seconds: float | None) -> Any:
        response = await self._http.exchange(request, seconds)
        return self._wire.result(response.status, response.body)

    def _whole(self) -> Outgoing:
        return task_message.task_message(
            self._call, self._progress.now.ended, with_data=self._wire.interface.takes_json
        )


def _forgotten(error: RpcError) -> Exception:
    if error.code != TASK_NOT_FOUND:
        return error
    return RemoteFailed(
        "it does not know the task that it works on: give the server a store for its tasks",
        permanent=True,
    )
