"""Any mixture of equal and different bodies, retries, disconnects, kills and attempts: each
distinct call is charged once, and a newer attempt finds all of them."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from durable_agent_team.gateway.stores import sqlite_accounts, sqlite_calls, sqlite_scopes
from durable_agent_team.gateway.stores.scope_records import EndedRequest, Place, RequestEnd
from durable_agent_team.gateway.stores.sqlite_calls import Now
from durable_agent_team.gateway.stores.sqlite_schema import connect
from durable_agent_team.gateway.stores.store import (
    NewAccount,
    NewCall,
    PendingCall,
    RefusalReason,
    Reserved,
    Settlement,
    StoredCall,
    StoreRefusal,
)
from tests.gateway import raw
from tests.gateway.client import Agent, Api, body
from tests.gateway.store_machine import StoreMachine
from tests.support.gateway import running_gateway
from tests.support.upstream import Received, Rule, ScriptedUpstream

BODIES = ("one", "two")
GATEWAYS = st.sampled_from((0, 1))
LEASE = 1_000.0


@dataclass
class Asked:
    """A request whose client is connected. `call` is set while it makes its call itself."""

    place: Place
    body: str
    number: int
    gateway: str
    call: str | None = None


@pytest.mark.parametrize("jump", [3600.0, 0.0, -3600.0])
def test_a_repetition_is_that_of_the_last_request_whatever_the_clock_does(
    jump: float, tmp_path: Path
) -> None:
    """Both answers were handed over; the second one, after the clock's jump, did not arrive."""
    conn = connect(tmp_path / "gateway.db")
    sqlite_accounts.open_account(conn, NewAccount("a", "a", "h", 10**6, "o", "b"), 1.0)

    def ask(name: str, wall: float, *, is_retry: bool = False) -> object:
        place = Place("s", 1, name, is_retry, is_patient=True)
        call = NewCall(name, "a", None, "one", "m", 10, place=place)
        now = Now(wall, 5.0)
        return sqlite_scopes.begin(conn, call, "g0", now, LEASE, lambda owner: False)

    for name, wall in (("first", 9_000.0), ("second", 9_000.0 + jump)):
        assert isinstance(ask(name, wall), Reserved)
        done = Settlement(name, 1, 1, 5, False, 0, 200, name.encode(), "price", scope="s")
        sqlite_calls.settle(conn, done, wall)
        place = Place("s", 1, name)
        sqlite_scopes.end(conn, EndedRequest("a", place, "one", RequestEnd.CHARGED, True))
    again = ask("again", 9_001.0 + jump, is_retry=True)
    assert isinstance(again, StoredCall)
    assert again.response == b"second"
    conn.close()


class ScopeMachine(StoreMachine):
    """The model: `held` has the numbers of the newest attempt, `paid` what was charged."""

    def __init__(self) -> None:
        super().__init__()
        sqlite_accounts.open_account(self.conn, NewAccount("a", "a", "h", 10**6, "o", "b"), 1.0)
        self.now = 1.0
        self.count = 0
        self.attempt = 1
        self.alive = ["g0", "g1"]
        self.dead: set[str] = set()
        self.asked: dict[str, Asked] = {}
        self.kept: set[tuple[str, int]] = set()
        self.seen: set[tuple[str, int]] = set()
        self.in_flight: dict[str, tuple[str, int, str]] = {}
        self.paid: set[tuple[str, int]] = set()
        self.made = 0
        self.given_up = 0

    @property
    def clocks(self) -> Now:
        return Now(self.now, self.now)

    def held(self, text: str) -> set[int]:
        connected = {each.number for each in self.asked.values() if each.body == text}
        return connected | {number for body, number in self.kept if body == text}

    def begin(self, place: Place, text: str, gateway: str) -> object:
        self.count += 1
        self.now += 1
        call = NewCall(f"call-{self.count}", "a", None, text, "m", 10, place=place)
        return sqlite_scopes.begin(
            self.conn, call, gateway, self.clocks, LEASE, lambda owner: owner in self.dead
        )

    @rule(text=st.sampled_from(BODIES), gateway=GATEWAYS, retry=st.booleans())
    def ask(self, text: str, gateway: int, retry: bool) -> None:
        self.count += 1
        place = Place("s", self.attempt, f"request-{self.count}", retry, is_patient=True)
        held = self.held(text)
        begun = self.begin(place, text, self.alive[gateway])
        number = self.conn.execute(
            "SELECT number FROM scope_numbers WHERE holder = ?", (place.holder,)
        ).fetchone()[0]
        lowest = min(set(range(len(held) + 1)) - held)
        given_back = any(other == text and each not in held for other, each in self.seen)
        if not retry or given_back or not held:
            assert number == lowest
        else:
            assert number in (*held, lowest)
        for holder, other in list(self.asked.items()):
            if (other.body, other.number) == (text, number):
                del self.asked[holder]  # this request is its repetition
        self.kept.discard((text, number))
        self.seen.add((text, number))
        asked = Asked(place, text, number, self.alive[gateway])
        pending = {(each[0], each[1]) for each in self.in_flight.values()}
        if isinstance(begun, Reserved):
            assert (text, number) not in self.paid | pending
            asked.call = f"call-{self.count}"
            self.in_flight[asked.call] = (text, number, self.alive[gateway])
            self.made += 1
        elif isinstance(begun, StoredCall):
            assert (text, number) in self.paid
        else:
            assert isinstance(begun, PendingCall)
            assert (text, number) in pending
        self.asked[place.holder] = asked

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data(), good=st.booleans())
    def answer(self, data: st.DataObject, good: bool) -> None:
        call = data.draw(st.sampled_from(sorted(self.in_flight)))
        text, number, _ = self.in_flight.pop(call)
        if good:
            done = Settlement(call, 1, 1, 5, False, 0, 200, b"{}", "price", scope="s")
            assert sqlite_calls.settle(self.conn, done, self.now) is not None
            assert (text, number) not in self.paid
            self.paid.add((text, number))
        else:
            sqlite_calls.release(self.conn, call, None, self.now)
            self.given_up += 1

    def answered(self) -> list[str]:
        of_call = {holder: (each.body, each.number) for holder, each in self.asked.items()}
        return sorted(holder for holder, call in of_call.items() if call in self.paid)

    @precondition(lambda self: self.answered())
    @rule(data=st.data())
    def hand_over(self, data: st.DataObject) -> None:
        asked = self.asked.pop(data.draw(st.sampled_from(self.answered())))
        self.kept.add((asked.body, asked.number))
        whole = EndedRequest("a", asked.place, asked.body, RequestEnd.CHARGED, handed_over=True)
        sqlite_scopes.end(self.conn, whole)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        """Or it is refused, or its call fails."""
        asked = self.asked.pop(data.draw(st.sampled_from(sorted(self.asked))))
        sqlite_scopes.end(self.conn, EndedRequest("a", asked.place, asked.body, RequestEnd.LEFT))

    @rule(gateway=GATEWAYS)
    def kill(self, gateway: int) -> None:
        dead = self.alive[gateway]
        self.dead.add(dead)
        self.count += 1
        self.alive[gateway] = f"process-{self.count}"
        self.asked = {k: each for k, each in self.asked.items() if each.gateway != dead}
        for call, (_, _, owner) in list(self.in_flight.items()):
            if owner == dead:
                del self.in_flight[call]
                self.given_up += 1
        sqlite_calls.release_abandoned(self.conn, {dead}, self.clocks)

    @precondition(lambda self: self.count % 5 == 0)  # most attempts get somewhere
    @rule(text=st.sampled_from(BODIES))
    def try_again(self, text: str) -> None:
        """A new attempt begins; the older one gets nothing any more."""
        old = Place("s", self.attempt, "late", is_patient=True)
        self.attempt += 1
        self.asked, self.kept, self.seen = {}, set(), set()
        self.ask(text, 0, False)
        late = self.begin(old, text, self.alive[1])
        assert isinstance(late, StoreRefusal)
        assert late.reason is RefusalReason.SUPERSEDED

    @invariant()
    def each_distinct_call_is_charged_once(self) -> None:
        [charges] = self.conn.execute("SELECT count(*) FROM ledger").fetchone()
        assert charges == len(self.paid)
        assert self.made == charges + len(self.in_flight) + self.given_up
        state = sqlite_scopes.state(self.conn, "a", "s")
        assert (state.charged, state.in_flight) == (charges, len(self.in_flight))


ScopeMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, suppress_health_check=list(HealthCheck)
)
TestScopes = ScopeMachine.TestCase


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_program_over_http_that_is_killed_again_and_again(seed: int) -> None:
    """Equal and different bodies by way of two gateways. Clients leave in the middle, upstreams
    fail, attempts are killed: what is called upstream is what the program asks for."""
    chance = random.Random(seed)
    failures = 0

    def fails(_: Received) -> bool:
        nonlocal failures
        failed = chance.random() < 0.2
        failures += failed
        return failed

    failing = Rule(status=500, match=fails)
    async with (
        ScriptedUpstream([failing, Rule(latency=0.15)]) as upstream,
        running_gateway(upstream.url) as one,
        running_gateway(upstream.url, database=one.database) as two,
        aiohttp.ClientSession() as http,
    ):
        first = await Api(one.url, http).open()
        agents = [first, Agent(Api(two.url, http), first.id, first.key)]
        program = [chance.choice("aab") for _ in range(8)]
        answers: list[str] = []
        for attempt in (1, 2, 3):
            answers = []
            for text in program[: None if attempt == 3 else chance.randrange(6)]:
                answers.append(await _insist(chance, agents, attempt, text))
        await first.until_reserved(False)
        assert upstream.count - failures == len(program)
        assert len(await first.ledger()) == len(program)
        assert len(set(answers)) == len(set(program)), "the upstream answers by the body"


async def _insist(chance: random.Random, agents: list[Agent], attempt: int, text: str) -> str:
    """As a client with retries of its own: until there is an answer."""
    for count in range(20):
        agent = chance.choice(agents)
        headers = {"Authorization": f"Bearer {agent.key}", "Content-Type": "application/json"}
        if chance.random() < 0.5:
            headers["x-stainless-retry-count"] = str(count)
        data = json.dumps(body(text)).encode()
        path = f"/scopes/s/{attempt}/v1/chat/completions"
        sent = raw.request("POST", path, headers, data)
        if chance.random() < 0.3:
            _, writer = await raw.connect(agent.api.url)
            writer.write(sent)
            await writer.drain()
            await asyncio.sleep(chance.choice((0, 0.02, 0.05)))
            writer.close()
            await asyncio.sleep(0.3)  # as SDKs do before they try again
            continue
        reply = await raw.send(agent.api.url, sent)
        if reply.status == 200:
            return reply.body.decode()
        await asyncio.sleep(0.05)
    raise AssertionError("no answer in 20 tries")


def test_the_numbers_are_those_of_the_newest_attempt_only(tmp_path: Path) -> None:
    """So the table does not grow with attempts."""
    conn: sqlite3.Connection = connect(tmp_path / "gateway.db")
    sqlite_accounts.open_account(conn, NewAccount("a", "a", "h", 10**6, "o", "b"), 1.0)
    for attempt in (1, 2, 3):
        place = Place("s", attempt, f"r{attempt}", is_patient=True)
        call = NewCall(f"c{attempt}", "a", None, "body", "m", 10, place=place)
        sqlite_scopes.begin(conn, call, "g", Now(1.0, 1.0), LEASE, lambda _: False)
    assert conn.execute("SELECT attempt FROM scopes").fetchall() == [(3,)]
    assert conn.execute("SELECT holder FROM scope_numbers").fetchall() == [("r3",)]
