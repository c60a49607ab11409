"""The activity of a program: its cost, its refusals, and its answer, by what the gateway knows."""

import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.judging.judge import Judge
from activities.programs.run_program import Programs
from activities.programs.scope_account import ScopeAccount
from durable_agent_team.blobs.store import BlobStore, NoBlobs
from durable_agent_team.blobs.texts import Texts
from durable_agent_team.contracts.call import AccountRef, CallResult
from durable_agent_team.contracts.effects import EffectAnswer, EffectDecision
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.program import ProgramCall
from durable_agent_team.contracts.program_kinds import CommandRun, PythonRun
from tests.activities.programs.support import command, content, program_call, runs_in
from tests.activities.support import (
    SEALER,
    FakeClient,
    Seen,
    call,
    client,
    context,
    open_for,
    rooms_at,
    serving,
    spend_of,
)
from tests.support import agent_program
from tests.support.gateway import running_gateway
from tests.support.memory_blobs import MemoryBlobs
from tests.support.upstream import Rule, ScriptedUpstream

EXHAUSTED = {
    "status": 402,
    "error": {
        "message": "this call may cost 0.5 USD",
        "type": "budget_exhausted",
        "code": "budget_exhausted",
        "required_usd": "0.500000",
        "remaining_usd": "0.100000",
    },
    "at": "2026-11-29T02:00:00Z",
}


LIMIT = {"message": "slow", "code": "upstream_timeout", "possibly_billed_usd": 0.5}


class Gateway:
    """What the scope says, look by look: the last entry stays."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self.states = list(states) or [{}]
        self.resolved: list[tuple[str, Any]] = []

    def __call__(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        if seen.path.partition("?")[0].endswith("/resolve"):
            self.resolved.append((seen.path, json.loads(seen.body)))
            return 200, {}, b"{}"
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        whole = {"scope": "s", "attempt": 1, "spent_usd": "0", "reserved_usd": "0", **state}
        return 200, {"Content-Type": "application/json"}, json.dumps(whole).encode()


@asynccontextmanager
async def programs_at(
    url: str, root: Path, store: BlobStore | None = None
) -> AsyncIterator[Programs]:
    judge = Judge()
    async with client() as http:
        with runs_in(root) as runs:
            yield Programs(
                ScopeAccount(http, url, SecretStr("parent-key-0123456789")),
                SEALER,
                judge,
                Texts(store or NoBlobs()),
                runs.environments,
                {CommandRun: runs.runner, PythonRun: runs.runner},
            )
    judge.close()


Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    async def one(
        program: ProgramCall,
        *states: dict[str, Any],
        store: BlobStore | None = None,
        attempt: int = 1,
    ) -> CallResult:
        async with (
            serving(Gateway(*states)) as server,
            programs_at(server.url, tmp_path, store) as programs,
        ):
            return await context(timeout=60, attempt=attempt).run(programs.run_program, program)

    return one


async def executed(
    programs: Programs, account: AccountRef, execution: int, known: str = "0"
) -> CallResult:
    """Two calls of a model through the real gateway."""
    run = CommandRun(command=(sys.executable, agent_program.__file__))
    program = program_call(
        run, call=call(account=account), execution=execution, known_spent_usd=Decimal(known)
    )
    return await context(timeout=60).run(programs.run_program, program)


async def test_at_the_gateway_a_scope_is_paid_once_and_says_why_it_was_refused(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    async with (
        running_gateway(upstream.url) as gateway,
        rooms_at(gateway.base_url, gateway.parent_key) as rooms,
        programs_at(gateway.base_url, tmp_path) as programs,
    ):
        account = (await open_for(rooms, ("research", "0.0003"))).accounts[0]
        with pytest.raises(ApplicationError) as caught:
            await executed(programs, account, execution=1)
        assert caught.value.type == ErrorType.BUDGET_EXHAUSTED.value
        spend = spend_of(caught.value)
        assert spend.required_usd is not None
        assert spend.remaining_usd == Decimal("0.0003") - spend.spent_usd
        await rooms.provider.set_budget(account.account_id, Decimal(1))
        upstream.add(Rule(contains="Second", status=503, times=1))
        with pytest.raises(ApplicationError) as caught:
            await executed(programs, account, execution=2, known=str(spend.spent_usd))
        assert caught.value.type == ErrorType.UPSTREAM_UNAVAILABLE.value
        assert spend_of(caught.value).spent_usd == 0, "what was paid before is replayed"
        done = await executed(programs, account, execution=3)
        again = await executed(programs, account, execution=4, known=str(done.cost_usd))
        state = await rooms.provider.read(account.account_id)
    assert done.cost_usd == state.spent_usd
    assert (again.answer, again.cost_usd) == (done.answer, Decimal(0))
    assert upstream.count == 3, "one of them failed"


async def test_only_what_differs_from_the_defaults_is_set(run: Run) -> None:
    program = command("print('ok')", known_spent_usd=Decimal("0.1"))
    result = await run(program, {"spent_usd": "0.1"}, {"spent_usd": "0.250001"})
    assert (result.answer, result.cost_usd) == ("ok", Decimal("0.150001"))
    assert not {"reasons", "stderr", "stderr_ref", "remote_task"} & result.model_fields_set


async def test_the_cost_of_calls_that_are_still_in_flight_is_waited_for(run: Run) -> None:
    busy = {"spent_usd": "0.1", "calls": {"in_flight": 1}}
    result = await run(command("print('ok')"), {}, busy, busy, {"spent_usd": "0.2"})
    assert result.cost_usd == Decimal("0.2")


async def test_an_answer_is_judged_as_a_models_is(run: Run) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    program = command("print('Here: ```json\\n{\"x\": 1}\\n```')", call=call(output=schema))
    assert json.loads((await run(program)).answer) == {"x": 1}
    wrong = await run(command("print('{}')", call=call(output=schema)))
    assert "'x' is a required property" in wrong.reasons[0]


@pytest.mark.parametrize("code", ["print('a fine answer')", "raise SystemExit(1)"])
async def test_a_402_decides_whatever_the_program_made_of_it(run: Run, code: str) -> None:
    with pytest.raises(ApplicationError) as caught:
        await run(command(code), {}, {"spent_usd": "0.4", "last_refusal": EXHAUSTED})
    assert caught.value.type == ErrorType.BUDGET_EXHAUSTED.value
    spend = spend_of(caught.value)
    assert (spend.required_usd, spend.remaining_usd) == (Decimal("0.5"), Decimal("0.1"))
    assert spend.spent_usd == Decimal("0.4")


async def test_a_refusal_of_an_earlier_attempt_does_not_decide(run: Run) -> None:
    assert (await run(command("print('ok')"), {"last_refusal": EXHAUSTED})).answer == "ok"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"status": 429, "error": {"message": "slowly"}}, ErrorType.RATE_LIMITED),
        ({"status": 503, "error": {"message": "down"}}, ErrorType.UPSTREAM_UNAVAILABLE),
        ({"status": 504, "error": LIMIT}, ErrorType.GATEWAY_LIMIT),
        ({"status": 400, "error": {"message": "no such model"}}, ErrorType.PROGRAM_FAILED),
    ],
)
async def test_an_outage_is_not_the_programs_fault(
    run: Run, error: dict[str, Any], kind: ErrorType
) -> None:
    after = {"last_failure": {**error, "at": "2026-11-29T02:00:00Z"}}
    with pytest.raises(ApplicationError) as caught:
        await run(command("raise SystemExit(1)"), {}, after)
    assert caught.value.type == kind.value
    assert (await run(command("print('ok')"), {}, after)).answer == "ok"


@pytest.mark.parametrize("prefix", ["", "Error code: 503 - "])
@pytest.mark.parametrize(
    ("field", "status", "kind"),
    [
        ("last_failure", 503, ErrorType.UPSTREAM_UNAVAILABLE),
        ("last_refusal", 400, ErrorType.PROGRAM_FAILED),
    ],
)
async def test_an_error_of_the_gateway_is_no_answer(
    run: Run, field: str, status: int, kind: ErrorType, prefix: str
) -> None:
    """Agno returns the text of an exception as its agent's answer, and the program succeeds."""
    said = "The upstream answered this way:  boom"
    told = {field: {"status": status, "error": {"message": said}}}
    code = f"print({prefix + said!r})"
    with pytest.raises(ApplicationError) as caught:
        await run(command(code), {}, told)
    assert caught.value.type == kind.value
    assert "boom" in str(caught.value)
    assert (await run(command(code), told)).answer == prefix + said


@pytest.mark.parametrize(("by", "starts"), [(2_001, False), (1_001, True), (2_003, True)])
async def test_a_limit_that_only_a_dead_attempt_knows_parks(
    run: Run, by: int, starts: bool
) -> None:
    """Another attempt would make the call again that may have been billed. Not so in the next
    execution, which somebody has asked for."""
    known = {"last_failure": {"status": 504, "error": LIMIT, "attempt": by}}
    program = command("print('ok')", execution=2)
    if starts:
        assert (await run(program, known, attempt=3)).answer == "ok"
        return
    with pytest.raises(ApplicationError) as caught:
        await run(program, known, attempt=3)
    assert caught.value.type == ErrorType.GATEWAY_LIMIT.value
    assert caught.value.non_retryable


@pytest.mark.parametrize(("by", "starts"), [(2_001, False), (2_002, False), (1_004, True)])
async def test_such_a_limit_is_not_forgotten_for_what_failed_later(
    run: Run, by: int, starts: bool
) -> None:
    later = {"status": 502, "error": {"code": "upstream_broke_off"}, "attempt": 2_002}
    known = {"last_failure": later, "last_limit": by, "possibly_billed_usd": 0.25}
    program = command("print('ok')", execution=2)
    if starts:
        assert (await run(program, known, attempt=3)).answer == "ok"
        return
    with pytest.raises(ApplicationError, match="died before it could say so") as caught:
        await run(program, known, attempt=3)
    assert caught.value.type == ErrorType.GATEWAY_LIMIT.value
    assert caught.value.non_retryable


async def test_a_worker_that_stood_still_does_not_start_the_program(tmp_path: Path) -> None:
    """It finds its task in its socket when it goes on. The next attempt has begun: what a program
    does besides its calls, it would do beside that."""
    given_up = FakeClient(RPCError("given up", RPCStatusCode.NOT_FOUND, b""))
    program = command(f"open({str(tmp_path / 'ran')!r}, 'w')")
    async with serving(Gateway({})) as server, programs_at(server.url, tmp_path) as programs:
        with pytest.raises(ApplicationError) as caught:
            await context(timeout=60, client=given_up).run(programs.run_program, program)
        assert caught.value.type == ErrorType.WORKER_LOST.value
        assert not (tmp_path / "ran").exists()


async def test_a_failure_has_its_cost_and_the_end_of_standard_error(run: Run) -> None:
    code = "import sys; print('x' * 5000, 'why', file=sys.stderr); sys.exit(4)"
    with pytest.raises(ApplicationError, match="exit code 4") as caught:
        await run(command(code), {}, {"spent_usd": "0.3"})
    assert caught.value.type == ErrorType.PROGRAM_FAILED.value
    assert not caught.value.non_retryable
    spend = spend_of(caught.value)
    assert (spend.spent_usd, spend.attempts, spend.counted_attempts) == (Decimal("0.3"), 1, 1)
    assert spend.stderr.endswith("why\n")
    assert len(spend.stderr) <= 1_000, "Temporal keeps 4 KB of a failure that is retried"


async def test_large_texts_are_stored(run: Run) -> None:
    store = MemoryBlobs()
    code = "import sys; print('e' * 9000, file=sys.stderr); print('a' * 9000)"
    result = await run(command(code), store=store)
    assert (result.answer, result.stderr) == ("", "")
    texts = Texts(store)
    assert await texts.read(result.answer_ref) == "a" * 9000
    assert await texts.read(result.stderr_ref) == "e" * 9000 + "\n"


async def test_a_timeout_and_an_unknown_effect_have_types_of_their_own(run: Run) -> None:
    with pytest.raises(ApplicationError) as caught:
        await run(command("import time; time.sleep(600)", timeout_seconds=0.5))
    assert caught.value.type == ErrorType.PROGRAM_TIMEOUT.value
    code = """
import json, os, sys
what = {"effect": "refund-1", "tool": "refund", "attempt": 1001}
open(os.environ["AGENT_REPORT"], "w").write(json.dumps({"effect_unknown": what}))
print("an answer all the same")
"""
    with pytest.raises(ApplicationError, match="refund") as caught:
        await run(command(code))
    assert caught.value.type == ErrorType.EFFECT_UNKNOWN.value
    effect = spend_of(caught.value).effect
    assert effect is not None
    assert (effect.effect, effect.tool, effect.attempt) == ("refund-1", "refund", 1001)


async def test_the_gateway_hears_what_people_have_decided(tmp_path: Path) -> None:
    gateway = Gateway()
    answers = (
        EffectAnswer(effect="a b", decision=EffectDecision.SKIP, attempt=1001),
        EffectAnswer(effect="c", decision=EffectDecision.RESULT, result='{"ok": true}'),
        EffectAnswer(effect="d", decision=EffectDecision.RESULT, result="a text"),
    )
    async with serving(gateway) as server, programs_at(server.url, tmp_path) as programs:
        program = command("print('ok')", effect_answers=answers)
        await context().run(programs.run_program, program)
    assert gateway.resolved == [
        (
            "/v1/scopes/scope-1/effects/a%20b/resolve?agent=account-of-research",
            {"decision": "skip", "attempt": 1001},
        ),
        (
            "/v1/scopes/scope-1/effects/c/resolve?agent=account-of-research",
            {"decision": "result", "result": {"ok": True}},
        ),
        (
            "/v1/scopes/scope-1/effects/d/resolve?agent=account-of-research",
            {"decision": "result", "result": "a text"},
        ),
    ]


async def test_a_provider_without_scopes_is_refused_before_anything_starts(tmp_path: Path) -> None:
    program = program_call(CommandRun(command=("touch", str(tmp_path / "started"))))
    async with (
        serving((404, {}, b"{}")) as server,
        programs_at(server.url, tmp_path) as programs,
    ):
        with pytest.raises(ApplicationError, match="has no scopes") as caught:
            await context().run(programs.run_program, program)
    assert caught.value.type == ErrorType.BAD_REQUEST.value
    assert content(tmp_path / "started", "it did not start") == "it did not start"
