"""Asks the gateway about effects over HTTP. Requests are repeated until they are answered."""

import http.client
import json
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from durable_agent_team.agents.effect_errors import EffectsUnavailable, OutsideOfTeam

VARIABLES = ("AGENT_GATEWAY_URL", "AGENT_API_KEY", "AGENT_SCOPE", "AGENT_ATTEMPT")
SECONDS = 30.0
"""How long one request can take."""
BEGIN_SECONDS = 60.0
FINISH_SECONDS = 120.0
"""How long a request is repeated while the gateway cannot be reached, or answers with a 5xx. Longer
for the end: the tool ran, and its result exists nowhere else."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
FRESH_SECONDS = 1.0
"""How old the answer to a begin can be: an attempt is given up after little more."""
MAX_ANSWER = 4 * 1024 * 1024
STORAGE_FULL = 507


@dataclass(frozen=True)
class Team:
    """Where the effects of this attempt are kept."""

    gateway_url: str
    api_key: str
    scope: str
    attempt: int

    def __repr__(self) -> str:
        return f"Team({self.gateway_url!r}, scope={self.scope!r}, attempt={self.attempt})"


@dataclass(frozen=True)
class GatewayAnswer:
    status: int
    body: dict[str, Any]

    @property
    def error(self) -> dict[str, Any]:
        found = self.body.get("error")
        return found if isinstance(found, dict) else {}

    @property
    def code(self) -> str:
        return str(self.error.get("code", ""))

    @property
    def message(self) -> str:
        return str(self.error.get("message", f"the gateway answered {self.status}"))


def team_of(environment: Mapping[str, str] = os.environ) -> Team | None:
    """None outside of a team. Raises OutsideOfTeam if it cannot be used."""
    values = [environment.get(name, "").strip() for name in VARIABLES]
    if not any(values):
        return None
    missing = [name for name, value in zip(VARIABLES, values, strict=True) if not value]
    if missing:
        raise OutsideOfTeam(f"once: {', '.join(missing)} is not set, and the others are")
    url, key, scope, attempt = values
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise OutsideOfTeam(f"once: AGENT_GATEWAY_URL must be an http(s) address; got {url!r}")
    if not (attempt.isascii() and attempt.isdigit()):
        raise OutsideOfTeam(f"once: AGENT_ATTEMPT must be a whole number; got {attempt!r}")
    return Team(url.rstrip("/"), key, scope, int(attempt))


def begin(
    team: Team, effect: str, tool: str, *, idempotent: bool, request_key: str
) -> GatewayAnswer:
    """Raises EffectsUnavailable.

    An answer that took long is asked for again: this process may have stood still, with its whole
    machine, and another attempt may have begun since. So that it ends with a slow gateway, each may
    take longer than the one before.
    """
    body = {"attempt": team.attempt, "tool": tool, "idempotent": idempotent}
    headers, fresh = {"Idempotency-Key": request_key}, FRESH_SECONDS
    while True:
        # Over a suspend, the one clock stands still; the other one can be set.
        steady, wall = time.monotonic(), time.time()
        answer = _post(team, effect, "begin", body, BEGIN_SECONDS, headers)
        passed = max(time.monotonic() - steady, time.time() - wall)
        if answer.status != 200 or passed < fresh:
            return answer
        fresh = 2 * passed


def finish(team: Team, effect: str, body: Mapping[str, Any]) -> GatewayAnswer:
    """Raises EffectsUnavailable."""
    return _post(team, effect, "finish", {"attempt": team.attempt, **body}, FINISH_SECONDS, {})


def _post(
    team: Team,
    effect: str,
    step: str,
    body: Mapping[str, Any],
    seconds: float,
    headers: Mapping[str, str],
) -> GatewayAnswer:
    path = f"/v1/scopes/{quote(team.scope, safe='')}/effects/{quote(effect, safe='')}/{step}"
    data = json.dumps(body, ensure_ascii=False).encode()
    until, pause = time.monotonic() + seconds, FIRST_PAUSE
    while True:
        try:
            answer = _exchange(team, path, data, headers)
            if answer.status < 500 or answer.status == STORAGE_FULL:
                return answer
            problem = answer.message
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
        if time.monotonic() + pause > until:
            raise EffectsUnavailable(
                f"the gateway at {team.gateway_url} could not be asked for {seconds:g} seconds"
                f" ({problem})"
            )
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _exchange(team: Team, path: str, data: bytes, headers: Mapping[str, str]) -> GatewayAnswer:
    """One request on a connection of its own, so that threads need not share one. No proxy: the
    worker and its programs reach the gateway directly."""
    parts = urlsplit(team.gateway_url)
    connection = _connection(parts.scheme, parts.hostname or "", parts.port)
    try:
        sent = {
            "Authorization": f"Bearer {team.api_key}",
            "Content-Type": "application/json",
            **headers,
        }
        connection.request("POST", parts.path.rstrip("/") + path, data, sent)
        response = connection.getresponse()
        text = response.read(MAX_ANSWER)
    finally:
        connection.close()
    body = json.loads(text)
    if not isinstance(body, dict):
        raise ValueError("the answer is no JSON object")
    return GatewayAnswer(response.status, body)


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
    return http.client.HTTPConnection(host, port, timeout=SECONDS)
