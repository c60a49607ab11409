"""A setting in `.env` that nobody reads is told at `make up`, and no name of the user's own is."""

import difflib
from itertools import combinations

import pytest

from durable_agent_team.gateway.gateway_settings import GatewaySettings
from durable_agent_team.gateway.models.presets import presets
from durable_agent_team.local_stack.misspelt_settings import (
    ALIKE,
    KNOWN,
    OF_PROVIDERS,
    OF_THE_GATEWAY,
    misspelt_settings,
)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ATXP_APIKEY", "ATXP_API_KEY"),
        ("OPENAI_API_KEYS", "OPENAI_API_KEY"),
        ("default_modell", "DEFAULT_MODEL"),
        ("TEMPORAL_ADRESS", "TEMPORAL_ADDRESS"),
        ("GATEWAY_MODEL", "GATEWAY_MODELS"),
    ],
)
def test_a_misspelt_setting_is_named_with_the_one_that_is_meant(name: str, meant: str) -> None:
    [warning] = misspelt_settings(["DATA_DIR", name])
    assert warning == f"warning: .env: {name} is no setting; did you mean {meant}?"


@pytest.mark.parametrize(
    "name", ["CRM_AUTH", "AZURE_EU_KEY", "COHERE_API_KEY", "MY_TOKEN", "OTEL_SERVICE_NAMES", "PATH"]
)
def test_names_of_the_users_own_are_left_alone(name: str) -> None:
    assert misspelt_settings([name]) == []


def test_every_setting_and_every_key_is_known() -> None:
    theirs = {name.upper() for name in GatewaySettings.model_fields}
    assert theirs - KNOWN == set()
    assert set(OF_THE_GATEWAY) - theirs == set()
    read = {name for each in presets().values() for name in (each.key_env, each.url_env) if name}
    assert read == set(OF_PROVIDERS)
    assert misspelt_settings(sorted(KNOWN)) == []


def test_few_settings_are_so_much_alike() -> None:
    """Otherwise a warning would name the wrong one."""
    alike = [
        pair
        for pair in combinations(sorted(KNOWN), 2)
        if difflib.SequenceMatcher(None, *pair).ratio() >= ALIKE
    ]
    assert len(alike) < 8
