"""How a team's budget is shared among the agents without one of their own."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from durable_agent_team.contracts.model_catalog import ModelCatalog, ModelPrice
from durable_agent_team.contracts.run import RunRequest
from durable_agent_team.contracts.team import Team
from durable_agent_team.rules.budgets import budgets_usd
from durable_agent_team.rules.estimate import estimate

FILE = Path(__file__).parent / "free_and_paid.yaml"
MICRO = Decimal("0.000001")
FREE = ModelPrice(model="costs-nothing", input_usd=Decimal(0), output_usd=Decimal(0))
PAID = ModelPrice(model="paid", input_usd=Decimal("0.1"), output_usd=Decimal("0.2"))


def catalog(*models: ModelPrice) -> ModelCatalog:
    return ModelCatalog(models=models, priced=any(each.is_priced for each in models))


def team(**changes: Any) -> Team:
    return Team.model_validate(yaml.safe_load(FILE.read_text()) | changes)


PRICED = catalog(FREE, PAID)
HALF_PRICED = catalog(ModelPrice(model="costs-nothing"), PAID)


def test_a_free_model_leaves_the_budget_to_the_agents_that_pay() -> None:
    assert budgets_usd(team(), {}, PRICED) == {
        "orchestrator": Decimal("0.1"),
        "free": MICRO,
        "paid": Decimal("0.9") - MICRO,
    }


def test_free_models_alone_share_in_equal_parts() -> None:
    agents = {name: {"role": "Reader", "model": "costs-nothing"} for name in ("free", "paid")}
    budgets = budgets_usd(team(agents=agents), {}, PRICED)
    assert budgets["free"] == budgets["paid"] == Decimal("0.45")


@pytest.mark.parametrize("priced", [HALF_PRICED, catalog()], ids=["one unknown", "all unknown"])
def test_with_an_unknown_price_all_weights_are_tokens(priced: ModelCatalog) -> None:
    budgets = budgets_usd(team(), {}, priced)
    assert budgets["paid"] / budgets["free"] == pytest.approx(Decimal(1), abs=Decimal("0.01"))
    assert Decimal("0.899998") <= budgets["paid"] + budgets["free"] <= Decimal("0.9")


@pytest.mark.parametrize("priced", [PRICED, HALF_PRICED, catalog()])
def test_the_estimate_shows_the_limits_that_the_run_sets(priced: ModelCatalog) -> None:
    found = estimate(RunRequest(team=team()), priced)
    assert {each.agent: each.budget_usd for each in found.agents} == budgets_usd(team(), {}, priced)


def test_a_share_is_unknown_where_the_worker_alone_knows_the_model() -> None:
    agents = {"free": {"role": "Reader"}, "paid": {"role": "Editor", "model": "paid"}}
    found = estimate(RunRequest(team=team(agents=agents)), PRICED)
    shown = {each.agent: each.budget_usd for each in found.agents}
    assert shown == {"orchestrator": Decimal("0.1"), "free": None, "paid": None}
