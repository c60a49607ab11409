"""Any interleaving of attempts, kills, lost and late messages, and decisions of a person: a tool
that is not idempotent runs once, and once more for each time that a person said retry."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from durable_agent_team.gateway.stores import sqlite_accounts, sqlite_effects
from durable_agent_team.gateway.stores.effect_store import (
    BeginEffect,
    Decision,
    Effect,
    EffectKey,
    EffectRefusal,
    EffectReply,
    EffectState,
    FinishEffect,
    ResolveEffect,
)
from durable_agent_team.gateway.stores.sqlite_schema import connect
from durable_agent_team.gateway.stores.store import NewAccount
from tests.gateway.store_machine import StoreMachine

KEY = EffectKey("a", "scope", "effect")
ENDED = (EffectState.DONE, EffectState.FAILED, EffectState.SKIPPED)


@dataclass
class Client:
    """A process of an attempt. It may be killed, or run on after the next one has begun."""

    attempt: int
    alive: bool = True
    inside: bool = False
    finish: FinishEffect | None = None
    """What it wants to say, until the gateway has answered."""


class EffectMachine(StoreMachine):
    """`runs` counts what the tool did to the world. The gateway's rules see messages only."""

    idempotent = False

    def __init__(self) -> None:
        super().__init__()
        self.do(sqlite_accounts.open_account, NewAccount("a", "a", "h", 1, None, ""), 0.0)
        self.clients: list[Client] = [Client(1)]
        self.runs = self.retries = 0
        self.results: set[bytes] = set()
        self.keys = 0

    @property
    def effect(self) -> Effect | None:
        return sqlite_effects.read(self.conn, KEY)

    def living(self) -> list[Client]:
        return [each for each in self.clients if each.alive]

    @rule(both=st.booleans())
    def attempt_begins(self, both: bool) -> None:
        """The last one was killed; or it was only believed to be dead, and runs on."""
        if not both:
            for each in self.clients:
                each.alive = each.inside = False
        self.clients = [*self.living(), Client(self.clients[-1].attempt + 1)][-3:]

    @precondition(lambda self: self.living())
    @rule(data=st.data())
    def is_killed(self, data: st.DataObject) -> None:
        client = data.draw(st.sampled_from(self.living()))
        if len(self.living()) > 1:
            client.alive = client.inside = False

    @precondition(lambda self: self.living())
    @rule(data=st.data(), lost=st.sampled_from(["nothing", "request", "response", "twice"]))
    def asks(self, data: st.DataObject, lost: str) -> None:
        """A client comes to the call. A lost message is repeated under its key, or it is killed."""
        client = data.draw(st.sampled_from(self.living()))
        if client.inside or client.finish is not None or lost == "request":
            return
        self.keys += 1
        request = BeginEffect(client.attempt, "t", self.idempotent, f"k{self.keys}")
        answer: EffectReply = self.do(sqlite_effects.begin, KEY, request, 0.0)
        if lost == "response":
            client.alive = False
            self.attempt_begins(both=True)
            return
        if lost == "twice":
            again: EffectReply = self.do(sqlite_effects.begin, KEY, request, 0.0)
            assert again == answer
        if answer.refusal is None:
            assert answer.effect is not None
            if answer.effect.state is EffectState.BEGUN:
                self.runs += 1
                client.inside = True
            elif answer.effect.state is EffectState.DONE:
                assert answer.effect.outcome in self.results
        elif answer.refusal is EffectRefusal.UNKNOWN:
            assert not self.idempotent
            assert client.attempt == answer.newest

    @precondition(lambda self: any(each.inside for each in self.clients))
    @rule(data=st.data(), how=st.sampled_from(["done", "done", "failed", "unknown"]))
    def tool_ends(self, data: st.DataObject, how: str) -> None:
        client = data.draw(st.sampled_from([each for each in self.clients if each.inside]))
        client.inside = False
        outcome = f'"{how} {self.runs}"'.encode()
        if how == "done":
            self.results.add(outcome)
        state = EffectState(how)
        kept = None if state is EffectState.UNKNOWN else outcome
        client.finish = FinishEffect(client.attempt, state, kept)

    @precondition(lambda self: any(each.alive and each.finish for each in self.clients))
    @rule(data=st.data(), lost=st.booleans())
    def says_so(self, data: st.DataObject, lost: bool) -> None:
        """However late. Without a response, it is said again."""
        told = [each for each in self.clients if each.alive and each.finish]
        client = data.draw(st.sampled_from(told))
        assert client.finish is not None
        before = self.effect
        answer: EffectReply = self.do(sqlite_effects.finish, KEY, client.finish, 0.0)
        if before is not None and before.attempt != client.attempt:
            assert answer.refusal is EffectRefusal.SUPERSEDED
        if not lost:
            client.finish = None

    @rule(decision=st.sampled_from(Decision), about=st.integers(-1, 1), times=st.integers(1, 2))
    def person_decides(self, decision: Decision, about: int, times: int) -> None:
        """Perhaps about an earlier attempt than the one that is unknown now, and perhaps twice."""
        before = self.effect
        attempt = None if before is None or about == 1 else max(1, before.attempt + about)
        result = b'"by hand"' if decision is Decision.RESULT else None
        request = ResolveEffect(decision, result, attempt)
        for _ in range(times):
            answer: EffectReply = self.do(sqlite_effects.resolve, KEY, request, 0.0)
        if before is None:
            assert answer.refusal is EffectRefusal.NOT_FOUND
        elif before.state in (EffectState.UNKNOWN, EffectState.FAILED) and answer.refusal is None:
            assert attempt in (None, before.attempt)
            self.retries += decision is Decision.RETRY
            self.results |= {result} if result else set()
        elif before.state is EffectState.RETRY and answer.refusal is None:
            self.retries -= decision is not Decision.RETRY
            self.results |= {result} if result else set()
        elif answer.refusal is None:  # the same decision again
            assert before.decision is decision
            assert self.effect == before

    @invariant()
    def it_runs_once_or_a_person_said_retry(self) -> None:
        if not self.idempotent:
            assert self.runs <= 1 + self.retries

    @invariant()
    def an_effect_that_is_done_stays_done(self) -> None:
        effect = self.effect
        if effect is not None and effect.state is EffectState.DONE:
            assert effect.outcome in self.results


class IdempotentMachine(EffectMachine):
    """Runs as often as attempts die inside; the gateway never asks a person by itself."""

    idempotent = True


TestEffects = EffectMachine.TestCase
TestIdempotentEffects = IdempotentMachine.TestCase
TestEffects.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestIdempotentEffects.settings = settings(TestEffects.settings, max_examples=40)


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = connect(tmp_path / "gateway.db")
    sqlite_accounts.open_account(opened, NewAccount("a", "a", "h", 1, None, ""), 0.0)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("state = 'begun'", "stays so"),
        ("state = 'retry'", "stays so"),
        ("attempt = 2", "begun once"),
    ],
)
def test_the_table_forbids_that_it_is_done_again(
    conn: sqlite3.Connection, change: str, reason: str
) -> None:
    sqlite_effects.begin(conn, KEY, BeginEffect(1, "t", False), 0.0)
    sqlite_effects.finish(conn, KEY, FinishEffect(1, EffectState.DONE, b"1"), 0.0)
    with pytest.raises(sqlite3.IntegrityError, match=reason):
        conn.execute(f"UPDATE effects SET {change}")
    with pytest.raises(sqlite3.IntegrityError, match="not deleted"):
        conn.execute("DELETE FROM effects")


def test_what_is_used_is_counted(conn: sqlite3.Connection) -> None:
    sqlite_effects.begin(conn, KEY, BeginEffect(1, "t", False), 0.0)
    used = "SELECT effects, bytes FROM effect_usage"
    assert conn.execute(used).fetchone() == (1, 0)
    sqlite_effects.finish(conn, KEY, FinishEffect(1, EffectState.DONE, b"12345"), 0.0)
    assert conn.execute(used).fetchone() == (1, 5)
    sqlite_accounts.change(conn, "a", None, "disabled", 0.0)
    assert conn.execute(used).fetchone() == (1, 0)
