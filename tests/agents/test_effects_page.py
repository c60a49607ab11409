"""The examples of docs/effects.md work as they stand."""

import json
import re
import shutil
import signal
from pathlib import Path

import pytest

from tests.agents.attempts import ROOT, Scope
from tests.gateway.client import world

PAGE = (ROOT / "docs" / "effects.md").read_text(encoding="utf-8")
USE = """
import { once } from "./once.mjs";
import { appendFileSync } from "node:fs";

const result = await once("refund-o17", "refund", async () => {
  appendFileSync("effects", "refund\\n");
  console.log("inside");
  if (process.env.DIES) await new Promise((resolve) => setTimeout(resolve, 60000));
  return { id: 7 };
});
console.log(JSON.stringify(result ?? null));
try {
  await once("charge-1", "charge", async () => {
    appendFileSync("effects", "charge\\n");
    throw new RangeError("no card");
  });
} catch (error) {
  console.log(error.message);
}
"""


def block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
async def test_the_javascript_does_it_once(tmp_path: Path) -> None:
    (tmp_path / "once.mjs").write_text(block("js"))
    (tmp_path / "use.mjs").write_text(USE)
    node = str(shutil.which("node"))
    async with world() as w:
        scope = Scope(await w.api.open(), tmp_path)
        process = await scope.start_program([node, "use.mjs"], 1, {"DIES": "1"})
        assert process.stdout is not None
        assert await process.stdout.readline() == b"inside\n"
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        code, out, error = await scope.run_program([node, "use.mjs"], 2)
        assert (code, out) == (75, ""), error
        report = json.loads(scope.report(2).read_text())["effect_unknown"]
        known = {name: report[name] for name in ("effect", "tool", "attempt")}
        assert known == {"effect": "refund-o17", "tool": "refund", "attempt": 1}
        assert await scope.resolve("refund-o17", "retry", attempt=1) == 200
        first = await scope.run_program([node, "use.mjs"], 3)
        again = await scope.run_program([node, "use.mjs"], 4)
        assert first[:2] == (0, 'inside\n{"id":7}\nno card\n'), first
        assert again[:2] == (0, '{"id":7}\nno card\n'), again
        effects = (tmp_path / "effects").read_text().split()
        assert effects == ["refund", "refund", "charge"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_the_shell_commands_do_what_they_say(tmp_path: Path) -> None:
    script = block("sh").replace("$(uuidgen)", "k")
    async with world() as w:
        scope = Scope(await w.api.open(), tmp_path)
        code, out, error = await scope.run_program(["/bin/sh", "-ec", script], 1)
        assert code == 0, error
        begun, done = map(json.loads, out.replace("}{", "}\n{").splitlines())
        assert (begun["state"], done["result"]) == ("begun", {"refund": "r-99"})
        [effect] = await scope.effects()
        assert (effect["effect"], effect["tool"], effect["state"]) == (
            "refund-o17",
            "refund",
            "done",
        )
