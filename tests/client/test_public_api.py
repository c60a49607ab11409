"""The public API: what it exports, when it loads it, and its examples, run as they are."""

import ast
import asyncio
import doctest
import io
import subprocess
import sys
from contextlib import redirect_stdout

import pytest
from temporalio.client import Client

import durable_agent_team as package
from durable_agent_team.contracts.model_catalog import ModelCatalog
from tests.cli.support import ROOT
from tests.support.fakes import FakeWorld

EXAMPLES = [None, "connect", "load_team", "start_run", "get_run", "list_runs", "rerun"]
"""In this order: the last two use the run that `start_run`'s example starts."""


def test_it_exports_five_names() -> None:
    assert set(package.__all__) == {each for each in EXAMPLES if each}
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="has no attribute 'stop_run'"):
        _ = package.stop_run


def test_contracts_load_without_the_client() -> None:
    code = (
        "import sys, durable_agent_team.contracts.run\n"
        "assert 'durable_agent_team.client' not in sys.modules\n"
        "assert 'temporalio.client' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


async def test_the_examples_of_the_docstrings_do_what_they_show(
    client: Client, world: FakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("TEMPORAL_ADDRESS", client.service_client.config.target_host)
    [price] = world.catalog.models
    bundled = price.model_copy(update={"model": "smollm2-135m"})
    world.catalog = ModelCatalog(models=(bundled,), priced=True)
    findings = '{"findings": []}'
    world.rule = lambda call: world.answer(call, findings) if call.output == "findings" else None
    for name in EXAMPLES:
        documented = getattr(package, name) if name else package
        names = {each: getattr(package, each) for each in package.__all__}
        examples = doctest.DocTestParser().get_examples(documented.__doc__ or "")
        assert examples, name
        for example in examples:
            assert await _shown(example.source, names) == example.want, (name, example.source)


async def _shown(source: str, names: dict[str, object]) -> str:
    """Runs one statement as `python -m asyncio` would, and returns what that shows."""
    code = compile(source, "<example>", "single", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with redirect_stdout(io.StringIO()) as shown:
        result = eval(code, names)
        if asyncio.iscoroutine(result):
            await asyncio.wait_for(result, 60)
    return shown.getvalue()
