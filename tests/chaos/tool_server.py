"""An MCP server (2025-11-25) with the tools of `tests.chaos.tools`: a storm kills and freezes it.

`python -m tests.chaos.tool_server PIDS` speaks on standard input and output, with `--port N` by
streamable HTTP at `/mcp`. It adds a file with its process id as the name to the folder PIDS.
Standard library only, so that it starts in milliseconds.
"""

import argparse
import json
import os
import sys
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from tests.chaos import tools

NUMBER: Final = {"n": {"type": "integer"}, "task": {"type": "string"}}
COUNTED: Final = {**NUMBER, "folder": {"type": "string"}, "key": {"type": "string"}}
TOOLS: Final[dict[str, tuple[Callable[..., str], dict[str, Any]]]] = {
    "charge": (tools.charge, COUNTED),
    "note": (tools.note, COUNTED),
    "look": (tools.look, NUMBER),
}
METHOD_NOT_FOUND: Final = -32601
NO_SESSION: Final = {
    "jsonrpc": "2.0",
    "id": "server-error",
    "error": {"code": -32600, "message": "Session not found"},
}
"""As the official Python server says it (mcp 2, `streamable_http_manager`)."""


def answer(message: dict[str, Any]) -> dict[str, Any] | None:
    """The answer to a message; None to a notification."""
    number, params = message.get("id"), message.get("params") or {}
    if number is None:
        return None
    match message.get("method"):
        case "initialize":
            result: dict[str, Any] = {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "storm", "version": "1"},
            }
        case "tools/list":
            result = {"tools": [_listed(name) for name in TOOLS]}
        case "tools/call":
            function, _ = TOOLS[params["name"]]
            text = function(**params.get("arguments", {}))
            result = {"content": [{"type": "text", "text": text}]}
        case _:
            unknown = {"code": METHOD_NOT_FOUND, "message": "no such method"}
            return {"jsonrpc": "2.0", "id": number, "error": unknown}
    return {"jsonrpc": "2.0", "id": number, "result": result}


def _listed(name: str) -> dict[str, Any]:
    properties = TOOLS[name][1]
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"name": name, "description": f"Does {name}.", "inputSchema": schema}


class Handler(BaseHTTPRequestHandler):
    """A session is forgotten when its server is killed, as with most servers."""

    protocol_version = "HTTP/1.1"
    sessions: Final[set[str]] = set()

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        session = self.headers.get("Mcp-Session-Id", "")
        if message.get("method") == "initialize":
            session = uuid.uuid4().hex
            self.sessions.add(session)
        elif session not in self.sessions and message.get("id") is not None:
            self._send(404 if session else 400, NO_SESSION, "")
            return
        said = answer(message)
        self._send(202 if said is None else 200, said, session)

    def do_GET(self) -> None:
        self._send(405, None, "")

    do_DELETE = do_GET

    def _send(self, status: int, said: dict[str, Any] | None, session: str) -> None:
        body = b"" if said is None else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if session:
            self.send_header("Mcp-Session-Id", session)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pids", type=Path)
    parser.add_argument("--port", type=int)
    given = parser.parse_args()
    given.pids.mkdir(exist_ok=True)
    (given.pids / str(os.getpid())).touch()
    if given.port is not None:
        ThreadingHTTPServer(("127.0.0.1", given.port), Handler).serve_forever()
    for line in sys.stdin:
        said = answer(json.loads(line))
        if said is not None:
            print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
