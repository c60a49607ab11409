"""Requests that schemathesis generates from /openapi.json, sent to the real gateway over HTTP.

Each case is sent four times: as it is, with real ids and a real model, with the wrong kind of key,
and with an unknown one. The cases of the coverage phase (every boundary, each field missing or of a
wrong type) are cheap and always all sent; random ones cost 20 ms each and are few in `make test`.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from durable_agent_team.gateway.api.request_shapes import MAX_WAIT_SECONDS
from tests.gateway.attacked_gateway import attacked_gateway
from tests.gateway.client import Agent, Api
from tests.support.fuzzing import count, examples
from tests.support.gateway import PARENT_KEY

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
BELOW = "/scopes/{scope}/{attempt}"
BLOBS = "/v1/blobs/{sha256}"
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
EFFECTS = "/v1/scopes/{scope}/effects"
CHARGES = "/v1/charges"
DOORS = {"/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/embeddings"}
CALLS = {
    *DOORS,
    "/v1/scopes/{scope}",
    *(EFFECTS, EFFECTS + "/{effect}", EFFECTS + "/{effect}/begin", EFFECTS + "/{effect}/finish"),
    *(CHARGES, *(f"{CHARGES}/{{key}}{step}" for step in ("", "/settle", "/release"))),
}
"""Requests with an agent's key. All others have the parent's."""
UNKNOWN_KEY = "unknown-key-0123456789-0123456789"


class Sender:
    """Sends cases, checks the responses, and counts both."""

    def __init__(self, url: str, first: Agent, second: Agent, *, scoped: bool = False) -> None:
        self.scoped = scoped
        self.schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        self.url, self.ids = url, (first.id, second.id)
        self.keys = (PARENT_KEY, first.key)
        self.session = requests.Session()
        self.session.trust_env = False  # it would look for a proxy at each request
        self.statuses: Counter[tuple[str, int]] = Counter()

    def described(self) -> list[Any]:
        """The addresses below a scope, or all others."""
        paths: Any = [path for path in self.schema if path.startswith(BELOW) == self.scoped]
        return [operation for path in paths for operation in self.schema[path].values()]

    def operations(self) -> Iterator[Any]:
        for operation in self.described():
            self._reset()
            yield operation

    def _reset(self) -> None:
        """Requests may have disabled the two accounts, or have taken their budget."""
        for account in self.ids:
            url = f"{self.url}/v1/agents/{account}"
            fresh: Any = {"budget": 1000, "status": "active"}
            headers = {"Authorization": f"Bearer {self.keys[0]}"}
            assert self.session.patch(url, json=fresh, headers=headers, timeout=60).ok

    def send_four(self, case: "Case[Any]") -> None:
        _hurry(case)
        agent = case.operation.path.removeprefix(BELOW) in CALLS
        sent = self._send(case, self.keys[agent])
        self._send(self._with_real_values(case), self.keys[agent])
        for key in (self.keys[not agent], UNKNOWN_KEY):  # prepared once: half of what a call costs
            again = sent.copy()
            again.headers["Authorization"] = f"Bearer {key}"
            self._check(case, self.session.send(again, timeout=60))

    def _send(self, case: "Case[Any]", key: str) -> requests.PreparedRequest:
        response = case.call(
            base_url=self.url,
            session=self.session,
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
        )
        self._check(case, response)
        return response.request

    def _check(self, case: "Case[Any]", response: Any) -> None:
        case.validate_response(response, checks=CHECKS)
        seen = f"{response.headers}{response.text}"
        assert not [each for each in (*self.keys, UNKNOWN_KEY) if each in seen]
        self.statuses[case.operation.label, response.status_code] += 1

    def _with_real_values(self, case: "Case[Any]") -> "Case[Any]":
        real: Any = {"model": "m", "from": self.ids[0], "to": self.ids[1], "amount": "0.01",
                     "attempt": 1, "tool": "t", "amount_usd": "0.01"}  # fmt: skip
        listed = case.operation.path.endswith("/v1/models/{id}")
        real_path = {
            "id": "m" if listed else self.ids[0],
            "sha256": EMPTY_SHA256,
            "scope": "s",
            "attempt": 1,
            "effect": "e",
            "key": "k",
        }
        for name in case.path_parameters or {}:
            case.path_parameters[name] = real_path[name]
        if case.query and "agent" in case.query:
            case.query["agent"] = self.ids[0]
        if case.operation.body and case.operation.path == BLOBS:
            case.body = b""
        if isinstance(case.body, dict):
            case.body |= {name: real[name] for name in real if name in case.body}
        return case


def _hurry(case: "Case[Any]") -> None:
    """A long poll of a scope that nothing is charged to would wait as long as it asks for."""
    with suppress(KeyError, TypeError, ValueError):
        if "spent_usd" in case.query and 0 < float(case.query["wait_seconds"]) <= MAX_WAIT_SECONDS:
            case.query["wait_seconds"] = "0.01"


def send_coverage(sender: Sender) -> None:
    for operation in sender.operations():
        config = sender.schema.config.generation_for(operation=operation)
        for case in sender.schema.iter_coverage_cases(
            operation, generation_modes=MODES, generation_config=config
        ):
            sender.send_four(case)


def send_random(sender: Sender, number: int) -> None:
    for operation in sender.operations():
        for mode in MODES if operation.body or operation.query else []:

            @settings(
                max_examples=number,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(operation.as_strategy(generation_mode=mode))
            def holds(case: "Case[Any]") -> None:
                sender.send_four(case)

            holds()


NEED_OTHERS = {
    "PATCH /v1/agents/batch",
    f"POST {EFFECTS}/{{effect}}/resolve",
    f"POST {CHARGES}/{{key}}/release",
}
"""Succeed with ids of existing accounts only, which are seldom generated in a list, or with an
effect or a charge in one state: test_account_batches.py, test_effects.py and test_tool_charges.py
have these."""


async def begin_effect(api: Api, agent: Agent) -> None:
    """What the requests with real values can then read and finish; likewise a charge."""
    charge = {"key": "k", "amount_usd": "0.01", "what": "t"}
    assert (await api.send("POST", CHARGES, charge, key=agent.key)).status == 201
    data = {"attempt": 1, "tool": "t"}
    path = "/v1/scopes/s/effects/e/begin"
    assert (await api.send("POST", path, data, key=agent.key)).status == 200


@pytest.mark.fuzz
@pytest.mark.timeout(3_600)
async def test_every_response_is_as_described() -> None:
    async with attacked_gateway() as (api, agent):
        await begin_effect(api, agent)
        sender = Sender(api.url, agent, await api.open(1000))
        await asyncio.to_thread(send_coverage, sender)
        await asyncio.to_thread(send_random, sender, examples(28, most=400))
        await agent.patch(status="disabled")  # nobody else settles the charges that are left
    sent = sender.statuses
    count("requests to the gateway: schemathesis", sent.total())
    assert sent.total() >= 5_000
    for operation in sender.described():
        if operation.label in NEED_OTHERS:
            continue
        success = min(int(status) for status in operation.responses.status_codes if status < "3")
        assert sent[operation.label, success] > 0, f"{operation.label} never succeeded: {sent}"


@pytest.mark.fuzz
@pytest.mark.timeout(3_600)
async def test_every_door_below_a_scope_answers_as_described() -> None:
    """The same handlers, and a key that the gateway makes: a few requests in `make test`, the
    coverage phase in `make fuzz` alone."""
    async with attacked_gateway() as (api, agent):
        sender = Sender(api.url, agent, await api.open(1000), scoped=True)
        if examples(0):
            await asyncio.to_thread(send_coverage, sender)
        await asyncio.to_thread(send_random, sender, examples(2, most=200))
    sent = sender.statuses
    count("requests to the gateway's scopes: schemathesis", sent.total())
    for operation in sender.described():
        assert operation.label in {label for label, _ in sent} or not operation.body
    doors = [f"POST {BELOW}{door}" for door in DOORS]
    assert all(sent[label, 200] > 0 for label in doors), sent
