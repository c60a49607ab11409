"""The money of a program: whatever happens to its executions, the run knows what the ledger has."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from activities.accounts import by_scope
from durable_agent_team.contracts.call import CallResult, Usage
from durable_agent_team.contracts.ledger import Charge, Ledger
from workflows.state.agent_account import AgentAccount
from workflows.state.charges import Use

AT = datetime(2026, 11, 29, tzinfo=UTC)
SCOPE = "s1"
ZERO = Decimal(0)
Micros = st.integers(0, 5).map(lambda micros: Decimal(micros).scaleb(-6))
Steps = st.lists(
    st.tuples(
        st.sampled_from(["settle", "reject", "fail", "withdraw", "interrupt", "lose", "continue"]),
        Micros,
        st.booleans(),
        st.booleans(),
    ),
    max_size=8,
)


def tokens(spent: Decimal) -> int:
    """Every micro-dollar is a token here."""
    return int(spent.scaleb(6))


def ledger(spent: Decimal) -> Ledger:
    used = {"amount_usd": spent, "prompt_tokens": tokens(spent)}
    lines = (Charge(idempotency_key="k", scope=SCOPE, attempt=1001, **used),)
    return Ledger(
        agent="a", account_id="i", status="active", budget_usd=Decimal(1), spent_usd=spent,
        charges=lines if spent else (),
    )  # fmt: skip


def result(cost: Decimal, used: int = 0) -> CallResult:
    return CallResult(
        answer="x", cost_usd=cost, usage=Usage(prompt_tokens=used), started_at=AT, seconds=1
    )


@given(Steps)
def test_what_is_known_is_the_ledger_whenever_it_was_read(
    steps: list[tuple[str, Decimal, bool, bool]],
) -> None:
    """Each step is an execution: it costs something, is observed or not, and ends somehow."""
    account = AgentAccount("a", "", Decimal(1))
    spent = ZERO
    for kind, cost, looked_at, read_back in steps:
        charges = account.charges
        known = charges.of_key(SCOPE) - charges.of_use(SCOPE, Use.USEFUL)
        account.begin_program(SCOPE, "t")
        half = spent + cost / 2 if cost else spent
        if looked_at:
            account.observe(ledger(half.quantize(Decimal("0.000001"))))
        spent += cost
        told = spent - known
        match kind:
            case "settle":
                account.settle(SCOPE, result(told, tokens(spent)), Use.USEFUL)
                break
            case "reject":
                account.settle(SCOPE, result(told, tokens(spent)), Use.FAILED)
            case "fail":
                account.fail(SCOPE, told, may_be_billed=True)
            case "withdraw":
                account.withdraw(SCOPE, may_be_billed=True, spent_usd=told)
            case "interrupt":
                account.interrupt(SCOPE, told, may_be_billed=True)
            case "lose":
                account.fail(SCOPE, ZERO, may_be_billed=True)
            case "continue":  # the run continues as new, and the program starts again
                account.continue_with({SCOPE})
                account.interrupt(SCOPE, ZERO, may_be_billed=True)
        if read_back:
            account.read_back(ledger(spent))
            assert account.spent_usd == spent
            assert account.usage.prompt_tokens == tokens(spent)
        assert account.spent_usd <= spent
    account.close()
    account.read_back(ledger(spent))
    assert account.usage.prompt_tokens == tokens(spent)
    assert account.spent_usd == spent == account.charges.by_task.get("t", ZERO)
    assert account.agrees_with(ledger(spent))


def test_what_is_replayed_turns_out_to_be_of_use() -> None:
    account = AgentAccount("a", "", Decimal(1))
    account.begin_program(SCOPE, "t")
    account.withdraw(SCOPE, may_be_billed=True, spent_usd=Decimal("0.1"))
    assert account.report().failed_attempts_usd == Decimal("0.1")
    account.begin_program(SCOPE, "t")
    account.settle(SCOPE, result(Decimal("0.2")), Use.USEFUL)
    told = account.report()
    assert (told.useful_usd, told.failed_attempts_usd) == (Decimal("0.3"), ZERO)


@given(
    st.lists(
        st.builds(
            Charge,
            idempotency_key=st.sampled_from(["k1", "k2", "k3"]),
            amount_usd=Micros,
            scope=st.sampled_from([None, "s1", "s2"]),
            prompt_tokens=st.integers(0, 9),
        )
    )
)
def test_lines_of_a_scope_are_one_with_the_same_sum(charges: list[Charge]) -> None:
    def sums(lines: list[Charge]) -> dict[str, Decimal]:
        empty = ledger(ZERO)
        return empty.model_copy(update={"charges": tuple(lines)}).by_key()

    folded = list(by_scope(charges))
    assert sums(folded) == sums(charges)
    assert sum(each.prompt_tokens for each in folded) == sum(each.prompt_tokens for each in charges)
    scopes = [each.scope for each in folded if each.scope]
    assert len(scopes) == len(set(scopes))
