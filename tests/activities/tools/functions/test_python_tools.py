"""Functions as tools: what a model sees, what comes back, and that a killed one leaves nothing."""

import asyncio
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from activities.tools.exceptions import ToolBroke, ToolChanged, ToolTimedOut, ToolUnreachable
from tests.activities.programs.support import content, gone, is_running, written
from tests.activities.tools.functions.support import SECRET, WORKER, shop_in

SHOP = """
    import asyncio, os, sys, threading, time
    from dataclasses import dataclass
    from durable_agent_team.agents import call_key

    @dataclass
    class Line:
        item: str
        count: int = 1

    def refund(order: str, lines: list[Line], key: str, note: str = "none"):
        '''Gives money back.

        Args:
            order: The number on the bill.
        '''
        print("chatter"); os.system("echo chatter of a child")
        return {"order": order, "lines": lines, "note": note, "keys": [key, call_key()]}

    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    def fails(number: int) -> str:
        raise ValueError(f"no order {number} for {os.environ['TOKEN']}")

    def leaves() -> str:
        sys.exit("bye")

    def environment() -> dict:
        return {"names": sorted(os.environ), "directory": os.getcwd(), "process": os.getpid()}

    def reveals() -> str:
        return "it is " + os.environ["TOKEN"]

    def chatters() -> str:
        print("x" * 2_000_000)
        sys.stderr.write("y" * 2_000_000)
        return "said"

    def large() -> str:
        return "a" * 3_000_000 + "z"

    def strange() -> object:
        return object()

    def dies() -> str:
        print("the last words", file=sys.stderr, flush=True)
        os._exit(3)

    def pause(seconds: float) -> int:
        time.sleep(seconds)
        return os.getpid()
"""
TOKEN = {"TOKEN": "$SHOP"}


async def test_a_model_sees_the_signature_without_the_key(tmp_path: Path) -> None:
    async with shop_in(tmp_path, SHOP) as shop:
        made = await shop.tools.describe(shop.tool("refund", key_argument="key"))
    assert (made.name, made.description) == ("refund", "Gives money back.")
    jsonschema.Draft202012Validator.check_schema(made.parameters)
    assert made.parameters["required"] == ["order", "lines"]
    assert made.parameters["properties"] == {
        "order": {"type": "string", "description": "The number on the bill."},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "item": {"type": "string"},
                    "count": {"type": "integer"},
                },
                "required": ["item"],
                "additionalProperties": False,
            },
        },
        "note": {"type": "string", "default": "none"},
    }


async def test_tools_that_are_listed_together_share_a_process(tmp_path: Path) -> None:
    """Ten functions of a module would otherwise import it ten times at once."""
    code = """
        import os

        with open(os.environ["LOG"], "a") as file:
            print("imported", file=file)

        def one() -> str: return "1"
        def two() -> str: return "2"
    """
    log = tmp_path / "imports"
    async with shop_in(tmp_path, code, {**WORKER, "LOG": str(log)}) as shop:
        tools = [shop.tool(name, env={"LOG": "$LOG"}) for name in ("one", "two", "one", "two")]
        made = await asyncio.gather(*map(shop.tools.describe, tools))
        assert [each.name for each in made] == ["one", "two", "one", "two"]
        assert content(log) == "imported\n"


async def test_results_and_errors_come_back_and_output_does_not(tmp_path: Path) -> None:
    async with shop_in(tmp_path, SHOP) as shop:
        order = {"order": "7", "lines": [{"item": "tea"}]}
        done = await shop.call("refund", order, key_argument="key")
        assert json.loads(done.text) == {
            "order": "7",
            "lines": [{"item": "tea", "count": 1}],
            "note": "none",
            "keys": ["conversation:3.1", "conversation:3.1"],
        }
        assert (await shop.call("double", {"number": 21})).text == "42"
        failed = await shop.call("fails", {"number": 5}, env=TOKEN)
        assert (failed.text, failed.is_error) == ("ValueError: no order 5 for [key]", True)
        assert (await shop.call("reveals", env=TOKEN)).text == "it is [key]"
        left = await shop.call("leaves")
        assert (left.text, left.is_error) == ("SystemExit: bye", True)
        wrong = await shop.call("double", {"number": "x"})
        assert (wrong.text, wrong.is_error) == (
            'the arguments are wrong: number: a whole number is expected, got "x"',
            True,
        )
        assert (await shop.call("chatters")).text == "said", "a flood of output ends nothing"
        large = (await shop.call("large")).text
        assert len(large) < 1_000_100
        assert large.endswith("az")
        strange = await shop.call("strange")
        assert strange.is_error
        assert "it ran, and returned a object that is neither" in strange.text


async def test_the_keys_of_once_are_those_of_the_call(tmp_path: Path) -> None:
    """A function that programs share with tools sends the same key in each attempt here, too."""
    code = """
        from durable_agent_team.agents import idempotency_key, once

        @once
        def pay(order: str) -> str:
            return idempotency_key()

        def both(order: str) -> list:
            return [pay(order), idempotency_key()]
    """
    async with shop_in(tmp_path, code) as shop:
        first = json.loads((await shop.call("both", {"order": "7"})).text)
        assert json.loads((await shop.call("both", {"order": "7"})).text) == first
        both = shop.tool("both")
        described = await shop.tools.describe(both)
        other = await shop.tools.call(both, described, {"order": "7"}, "another:1.1", 30)
        assert not set(json.loads(other.text)) & set(first)
        assert (await shop.call("pay", {"order": "7"})).text == first[0]


async def test_a_function_gets_the_documented_environment_and_what_it_names(tmp_path: Path) -> None:
    async with shop_in(tmp_path, SHOP) as shop:
        found = json.loads((await shop.call("environment", env=TOKEN)).text)
        assert set(found["names"]) <= {
            *("HOME", "LANG", "LC_CTYPE", "PATH", "PYTHONPATH", "TMPDIR", "TOKEN")
        }
        assert found["directory"].startswith(str(tmp_path / "work"))
        assert (
            found["process"]
            == json.loads((await shop.call("environment", env=TOKEN)).text)["process"]
        ), "it is kept for the next call"
        other = json.loads((await shop.call("environment")).text)
        assert other["process"] != found["process"], "another environment is another process"
        assert SECRET not in content(Path(f"/proc/{found['process']}/cmdline"))


@pytest.mark.parametrize(
    ("function", "changes", "said"),
    [
        ("nothing", {}, "has no 'nothing'; its functions: refund"),
        ("refund", {"key_argument": "idem"}, "no argument 'idem', which `key_argument` names"),
        ("double", {"python": "shap:double"}, "there is no module 'shap'"),
        ("double", {"env": {"TOKEN": "$MISSING"}}, "`env` names MISSING"),
        ("double", {"env": {"K": "$ATXP_API_KEY"}}, "which no program gets"),
    ],
)
async def test_what_is_no_tool_is_named_before_anything_runs(
    tmp_path: Path, function: str, changes: dict[str, Any], said: str
) -> None:
    async with shop_in(tmp_path, SHOP) as shop:
        for refused in (
            shop.tools.describe(shop.tool(function, **changes)),
            shop.call(function, {"number": 1}, **changes),
        ):
            with pytest.raises(ToolUnreachable) as error:
                await refused
            assert said in str(error.value)
            assert not error.value.sent


async def test_a_changed_module_is_imported_again(tmp_path: Path) -> None:
    async with shop_in(tmp_path, "def double(number: int) -> int: return 2 * number") as shop:
        assert (await shop.call("double", {"number": 2})).text == "4"
        shop.write("def double(number: int) -> int:\n    'Three.'\n    return 3 * number")
        assert (await shop.call("double", {"number": 2})).text == "6"
        assert (await shop.tools.describe(shop.tool("double"))).description == "Three."
        shop.write("import sys; sys.exit('no')")
        with pytest.raises(ToolUnreachable, match="SystemExit: no"):
            await shop.call("double", {"number": 2})
        shop.write("def double(number: int) -> int: return 5 * number")
        assert (await shop.call("double", {"number": 2})).text == "10"


async def test_a_function_is_called_as_it_was_described_or_not_at_all(tmp_path: Path) -> None:
    """A call does not ask its process again what the function is: half of its time."""
    async with shop_in(tmp_path, "def double(number: int) -> int: return 2 * number") as shop:
        tool = shop.tool("double")
        first = await shop.tools.describe(tool)
        shop.write("def double(number: int) -> int: return 3 * number")
        assert await shop.tools.describe(tool, fresh=False) == first
        called = await shop.tools.call(tool, first, {"number": 2}, "conversation:3.1", 30)
        assert called.text == "6", "only its code has changed"
        shop.write("def double(number: int) -> int:\n    'Three.'\n    return 4 * number")
        with pytest.raises(ToolChanged) as changed:
            await shop.tools.call(tool, first, {"number": 2}, "conversation:3.1", 30)
        assert not changed.value.sent
        now = await shop.tools.describe(tool, fresh=False)
        assert now.description == "Three."
        assert (await shop.tools.call(tool, now, {"number": 2}, "a:1.1", 30)).text == "8"


async def test_a_process_that_dies_in_a_call_may_have_done_it(tmp_path: Path) -> None:
    async with shop_in(tmp_path, SHOP) as shop:
        with pytest.raises(ToolBroke, match=r"ended \(3\).*the last words") as broke:
            await shop.call("dies")
        assert broke.value.sent
        assert (await shop.call("double", {"number": 1})).text == "2", "others go on"


CHILDREN = f"""
    import os, subprocess, sys, time

    def hang(mark: str) -> str:
        sleep = "import time; time.sleep(600)"
        child = subprocess.Popen([{sys.executable!r}, "-c", sleep], start_new_session=True)
        with open(mark + ".part", "w") as file:
            print(os.getpid(), child.pid, file=file)
        os.rename(mark + ".part", mark)
        time.sleep(600)
"""


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_call_is_killed_with_all_that_it_started(tmp_path: Path, cancelled: bool) -> None:
    mark = tmp_path / "mark"
    async with shop_in(tmp_path, CHILDREN) as shop:
        seconds = 600 if cancelled else 2.5
        calling = asyncio.create_task(shop.call("hang", {"mark": str(mark)}, seconds))
        pids = [int(each) for each in (await written(mark)).split()]
        if cancelled:
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
        else:
            with pytest.raises(ToolTimedOut, match=r"within 2\.5 s, and was killed") as late:
                await calling
            assert late.value.sent
        assert not any(map(is_running, pids))


async def test_calls_run_in_parallel_and_one_that_hangs_stops_no_other(tmp_path: Path) -> None:
    async with shop_in(tmp_path, SHOP) as shop:
        await asyncio.gather(*(shop.call("pause", {"seconds": 0.3}) for _ in range(3)))
        stuck = asyncio.create_task(shop.call("pause", {"seconds": 600}, seconds=1))
        done = await asyncio.gather(*(shop.call("pause", {"seconds": 0.5}) for _ in range(2)))
        assert len({each.text for each in done}) == 2, "each has a process of its own"
        with pytest.raises(ToolTimedOut):
            await stuck


async def test_a_warm_call_costs_little(tmp_path: Path) -> None:
    async with shop_in(tmp_path, SHOP) as shop:
        await shop.call("double", {"number": 1})
        began = time.process_time()
        for number in range(100):
            await shop.call("double", {"number": number})
        assert (time.process_time() - began) / 100 < 0.01, "the worker's part, on a slow machine"


WORKER_CODE = """
import asyncio, sys
from pathlib import Path
from tests.activities.tools.functions.support import Shop

async def main():
    shop = Shop(Path(sys.argv[1]))
    shop.write(sys.argv[3])
    await shop.call("hang", {"mark": sys.argv[2]}, 600)

asyncio.run(main())
"""


async def test_a_killed_worker_leaves_no_process(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER_CODE, tmp_path, mark, CHILDREN
    )
    try:
        pids = [int(each) for each in (await written(mark)).split()]
        worker.kill()
        assert await gone(*pids)
    finally:
        with contextlib.suppress(ProcessLookupError):
            worker.kill()
        await worker.wait()
