"""The three operations (send, get, cancel) as HTTP requests of each binding and version. Pure.

A2A 1.0, sections 9 (JSON-RPC) and 11 (HTTP+JSON); A2A 0.3, sections 3.2 and 7. Streams are not
used: `GetTask` is the truth about a task, also where a server's stream never ends.
"""

import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from activities.programs.remote.agent_card import Interface
from activities.programs.remote.remote_errors import RemoteFailed, RpcError
from durable_agent_team.rules.half_characters import may_have_halves, without_half_characters

TASK_NOT_FOUND: Final = -32001

_METHODS: Final = {
    "1.0": {"send": "SendMessage", "get": "GetTask", "cancel": "CancelTask"},
    "0.3": {"send": "message/send", "get": "tasks/get", "cancel": "tasks/cancel"},
}
_OUTPUT_MODES: Final = ["text/plain", "application/json"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to the agent."""

    message_id: str
    texts: tuple[str, ...]
    data: dict[str, Any] | None = None
    task_id: str = ""
    context_id: str = ""
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpRequest:
    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Wire:
    """Writes requests for one interface of an agent, and reads its responses."""

    interface: Interface

    def send(self, message: Outgoing) -> HttpRequest:
        """The server shall answer at once with the task, and not when it has ended."""
        params = {"message": self._message(message), "configuration": self._configuration()}
        return self._request("send", params, "POST", "/message:send")

    def get(self, task_id: str, history: int) -> HttpRequest:
        """The task, with this many of its last messages."""
        query = urlencode({"historyLength": history})
        path = f"/tasks/{quote(task_id, safe='')}?{query}"
        return self._request("get", {"id": task_id, "historyLength": history}, "GET", path)

    def cancel(self, task_id: str) -> HttpRequest:
        path = f"/tasks/{quote(task_id, safe='')}:cancel"
        return self._request("cancel", {"id": task_id}, "POST", path)

    def result(self, status: int, body: bytes) -> Any:
        """Raises `RpcError` for an error of the protocol, `RemoteFailed` for what is none."""
        value = json_value(body)
        error = value.get("error") if isinstance(value, dict) else None
        is_rpc = self.interface.binding == "JSONRPC"
        if is_rpc and error is None and isinstance(value, dict) and "result" in value:
            return value["result"]
        if error is not None:
            raise _rpc_error(error, status)
        if status >= 400:
            raise RpcError(
                TASK_NOT_FOUND if status == 404 else 0, _http_text(status, value), status
            )
        if value is None or is_rpc:
            raise RemoteFailed("its response is not one of A2A", permanent=True)
        return value

    def _request(self, name: str, params: dict[str, Any], verb: str, path: str) -> HttpRequest:
        headers = {"Accept": "application/json", "A2A-Version": self.interface.version}
        if self.interface.tenant:
            params = {"tenant": self.interface.tenant, **params}
        if self.interface.binding == "JSONRPC":
            method = _METHODS[self.interface.version][name]
            rpc = {"jsonrpc": "2.0", "id": "1", "method": method, "params": params}
            headers["Content-Type"] = "application/json"
            return HttpRequest("POST", self.interface.url, headers, _bytes(rpc))
        prefix = "/v1" if self.interface.version == "0.3" else ""
        if self.interface.tenant:
            prefix = f"/{quote(self.interface.tenant, safe='')}"
        base = self.interface.url.rstrip("/")
        if prefix == "/v1" and base.endswith("/v1"):
            prefix = ""
        headers["Content-Type"] = "application/json"
        body = _bytes(params) if verb == "POST" else None
        return HttpRequest(verb, f"{base}{prefix}{path}", headers, body)

    def _configuration(self) -> dict[str, Any]:
        if self.interface.version == "1.0":
            return {"acceptedOutputModes": _OUTPUT_MODES, "returnImmediately": True}
        return {"acceptedOutputModes": _OUTPUT_MODES, "blocking": False}

    def _message(self, message: Outgoing) -> dict[str, Any]:
        is_old = self.interface.version == "0.3"
        has_kinds = is_old and self.interface.binding == "JSONRPC"
        parts: list[dict[str, Any]] = [{"text": text} for text in message.texts]
        if message.data is not None:
            wrapped = is_old and not has_kinds
            parts.append({"data": {"data": message.data} if wrapped else message.data})
        if has_kinds:
            parts = [{"kind": "text" if "text" in each else "data", **each} for each in parts]
        written: dict[str, Any] = {
            "messageId": message.message_id,
            "role": "user" if has_kinds else "ROLE_USER",
            "content" if is_old and not has_kinds else "parts": parts,
        }
        if has_kinds:
            written["kind"] = "message"
        if message.task_id:
            written["taskId"] = message.task_id
        if message.context_id:
            written["contextId"] = message.context_id
        if message.references and (has_kinds or not is_old):
            written["referenceTaskIds"] = list(message.references)
        return written


def _rpc_error(error: Any, status: int) -> RpcError:
    """JSON-RPC's error, or `google.rpc.Status` of HTTP+JSON."""
    if not isinstance(error, dict):
        return RpcError(0, str(error), status)
    code = error.get("code")
    message = error.get("message")
    text = message if isinstance(message, str) and message else _http_text(status, None)
    if status == 404:
        code = TASK_NOT_FOUND
    data = error.get("data")
    if isinstance(data, str) and data not in text:
        text = f"{text}: {data}"
    return RpcError(code if isinstance(code, int) else 0, text, status)


def _http_text(status: int, value: Any) -> str:
    """What a problem document (RFC 9457) or another body says."""
    if isinstance(value, dict):
        for name in ("detail", "message", "title"):
            if isinstance(value.get(name), str) and value[name]:
                return f"HTTP {status}: {value[name]}"
    return f"HTTP {status}"


def json_value(body: bytes) -> Any:
    """None for what is not JSON. Halves of surrogate pairs are replaced."""
    try:
        value = json.loads(body.decode("utf-8-sig", errors="replace"))
        return without_half_characters(value) if may_have_halves(body) else value
    except (ValueError, RecursionError):
        return None


def _bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
