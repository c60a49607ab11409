"""`validate` and `run` report all problems of a team file at once."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from tests.cli.support import NO_SERVICE, TEAM, Starter, lines

WRONG = """\
name: brief
goal: Decide
orchestrator: {budget_usd: 5}
agents:
  research: {role: Researcher, budget_usd: 1}
  editor: {role: Editor}
tasks:
  - {id: a, agent: reserch, ask: List the facts., depends_on: [b]}
  - {id: b, agent: editor, ask: Write., depends_on: [a, zz]}
result: c
"""

MODELS = {
    "object": "list",
    "data": [
        {
            "id": "small",
            "pricing": {"input_usd_per_million": 0.1, "output_usd_per_million": 0.2},
            "context_tokens": 600,
        }
    ],
}


class Models(BaseHTTPRequestHandler):
    body = json.dumps(MODELS).encode()
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/v1/models" else 404)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[str]:
    """A list of models over HTTP."""
    with HTTPServer(("127.0.0.1", 0), Models) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


@pytest.fixture
def alone(tmp_path_factory: pytest.TempPathFactory) -> Starter:
    """A starter without any service: a file is checked without one."""
    return Starter(NO_SERVICE, tmp_path_factory.mktemp("teams"))


async def test_a_valid_file_is_reported_as_good(alone: Starter) -> None:
    ended = await alone("validate", alone.team())
    assert ended.code == 0, ended.err
    assert "good: team brief, 2 agents, 3 tasks" in ended.out
    assert "were not checked" in ended.err
    assert NO_SERVICE in ended.err


@pytest.mark.parametrize("command", ["validate", "run", "start"])
async def test_all_problems_of_a_graph_are_reported_at_once(alone: Starter, command: str) -> None:
    path = alone.team(WRONG)
    ended = await alone(command, path)
    assert ended.code == 2
    printed = ended.out + ended.err
    for expected in (
        ":8: tasks.a.agent = reserch: no such agent",
        ":9: tasks.b.depends_on = zz: no such task",
        ":6: agents.editor.budget_usd",
        ":10: result = c: no such task",
        "a -> b -> a",
    ):
        assert expected in printed.replace(": error: ", ": ")
    assert printed.count(path) >= 5, "each with its file"
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("host", "allowed", "is_said"),
    [
        ("127.0.0.1:9", "", True),
        ("[::1]", "false", True),
        ("hooks.localhost", "", True),
        ("10.1.2.3", "true", False),
        ("hooks.example.com", "", False),
    ],
)
async def test_a_notify_url_that_no_worker_calls_is_a_warning(
    alone: Starter, host: str, allowed: str, is_said: bool
) -> None:
    path = alone.team(TEAM + f"notify_url: http://{host}/hook?key=secret\n")
    ended = await alone("validate", path, NOTIFY_PRIVATE_ADDRESSES=allowed)
    assert ended.code == 0, ended.err
    assert ("warning: notify_url: " in ended.out) is is_said
    assert ("NOTIFY_PRIVATE_ADDRESSES=true" in ended.out) is is_said
    assert "secret" not in ended.out + ended.err


@pytest.mark.parametrize("address", ["http://me:secret@[::1/", "http://x:secret/", "http://x..y/"])
async def test_a_notify_url_that_is_no_address_is_an_error(alone: Starter, address: str) -> None:
    ended = await alone("validate", alone.team(TEAM + f'notify_url: "{address}"\n'))
    assert ended.code == 2, ended.err
    assert "error: notify_url: this is not the address of a web server" in ended.out
    assert "secret" not in ended.out + ended.err


MANY_KINDS = """\
name: brief
goal: 5
orchestrator: {budget_usd: 5, modle: x}
agents:
  research: {role: Researcher, budget_usd: lots, model: smal}
  editor: {role: Editor, on_exhausted: fallback}
tasks:
  - {id: a, agent: reserch, ask: List the facts., depends_on: [b], inputs: [notse.md],
     output: {type: objekt}}
  - {id: b, agent: editor, aks: Write., depends_on: [a, zz]}
  - {agent: editor, ask: X}
  - {id: d, agent: editor, ask: X, checks: {min_length: 9, max_length: 3}}
result: c
"""


async def test_problems_of_every_kind_are_reported_at_once_with_the_nearest_names(
    alone: Starter, gateway: str
) -> None:
    """YAML and schema, documents, references, and what only the gateway's list of models tells."""
    path = alone.team(MANY_KINDS)
    (alone.folder / "notes.md").write_text("Notes.")
    ended = await alone("validate", path, ATXP_LLM_URL=gateway)
    for expected in (
        "goal = 5: a text is needed",
        "orchestrator.modle: this key is not known (did you mean `model`?)",
        "agents.research.budget_usd = 'lots'",
        "tasks[1].ask: is missing",
        "tasks[2].id: is missing",
        "tasks[0].output",
        "notse.md: there is no file",
        "did you mean `notes.md`?",
        "agents.editor.budget_usd: no limit",
        "agents.editor.on_exhausted = fallback",
        "tasks.a.agent = reserch: no such agent (did you mean `research`?)",
        "tasks.b.depends_on = zz: no such task",
        "tasks.d.checks.min_length = 9",
        "a -> b -> a",
        "result = c: no such task",
        "agents.research.model = smal: has no price",
        "did you mean small?",
    ):
        assert expected in ended.out, ended.out
    assert "0.00" not in ended.out, "no price to paste that would be wrong"
    for consequence in ("goal: missing", "agents.research.budget_usd: no limit", "has no text of"):
        assert consequence not in ended.out


async def test_findings_as_json_have_field_value_and_remedy(alone: Starter) -> None:
    ended = await alone("validate", alone.team(WRONG), "--json")
    found = {each["field"]: each for each in map(json.loads, lines(ended.out))}
    assert found["tasks.a.agent"]["value"] == "reserch"
    assert found["tasks.a.agent"]["remedy"]
    assert found["tasks.a.agent"]["file"].endswith("team.yaml")
    assert found["tasks.a.agent"]["level"] == "error"


async def test_a_warning_alone_does_not_fail(alone: Starter) -> None:
    text = TEAM.replace("Researcher, budget_usd: 1", "Researcher, budget_usd: 9")
    ended = await alone("validate", alone.team(text))
    assert ended.code == 0
    assert "warning: agents.research.budget_usd = 9" in ended.out


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (None, "there is no file"),
        ("name: [", "YAML"),
        ("name: brief\nagents: {}\n", "agents"),
        (TEAM.replace("ask: Write it up.", "aks: Write it up."), "aks"),
        (TEAM.replace("budget_usd: 5", "budget_usd: lots"), "lots"),
        (TEAM.replace("depends_on", "on_exhausted: park, depends_on"), "on_exhausted"),
        (TEAM.replace("{role: Editor,", "{on_exhausted: shrug, role: Editor,"), "shrug"),
    ],
)
async def test_a_file_that_is_not_a_team_is_refused(
    alone: Starter, text: str | None, printed: str
) -> None:
    path = alone.team(text) if text else str(alone.folder / "absent.yaml")
    for command in ("validate", "start"):
        ended = await alone(command, path)
        assert ended.code == 2, ended.out
        assert printed in ended.out + ended.err
        assert path in ended.out + ended.err
        assert "Traceback" not in ended.err


@pytest.mark.parametrize("pair", ["facts", "facts=", "=news.md"])
async def test_an_input_that_is_not_a_pair_is_refused(alone: Starter, pair: str) -> None:
    ended = await alone("validate", alone.team(), "--input", pair)
    assert ended.code == 2
    assert f"--input = {pair}: not TASK=FILE" in ended.err


async def test_models_and_contexts_are_checked_with_the_gateway(
    alone: Starter, gateway: str
) -> None:
    priced = TEAM.replace("role: ", "model: small, role: ").replace(
        "{budget", "{model: small, budget"
    )
    ended = await alone("validate", alone.team(priced), ATXP_LLM_URL=gateway)
    assert ended.code == 0, ended.out
    assert "models and prices checked" in ended.out
    unpriced = priced.replace("model: small, role: Editor", "model: huge, role: Editor")
    ended = await alone("validate", alone.team(unpriced), ATXP_LLM_URL=gateway)
    assert ended.code == 2
    assert "agents.editor.model = huge: has no price" in ended.out
    assert '[models."huge"]' in lines(ended.out), "to be pasted as it is"
    paper = alone.folder / "long.md"
    paper.write_text("tin " * 2000)
    long = ["--input", f"facts={paper}"]
    ended = await alone("validate", alone.team(priced), *long, ATXP_LLM_URL=gateway)
    assert ended.code == 2
    assert "context of 600 tokens" in ended.out


async def test_a_budget_below_the_cost_of_one_call_is_a_warning(
    alone: Starter, gateway: str
) -> None:
    team = TEAM.replace("role: ", "model: small, max_tokens: 300, role: ").replace(
        "Editor, budget_usd: 1", "Editor, budget_usd: LIMIT"
    )
    ended = await alone(
        "validate", alone.team(team.replace("LIMIT", "0.00005")), ATXP_LLM_URL=gateway
    )
    assert ended.code == 0, ended.out
    (printed,) = [line for line in lines(ended.out) if "may not pay one call" in line]
    assert (
        "warning: agents.editor.budget_usd = 0.00005: may not pay one call (text: up to" in printed
    )
    assert "max_tokens" in printed
    for enough in ("0.00005, min_tokens: 10", "0.001"):
        ended = await alone(
            "validate", alone.team(team.replace("LIMIT", enough)), ATXP_LLM_URL=gateway
        )
        assert "may not pay one call" not in ended.out


async def test_a_missing_model_is_the_default_of_the_worker(alone: Starter, gateway: str) -> None:
    ended = await alone("validate", alone.team(), ATXP_LLM_URL=gateway)
    assert ended.code == 0, ended.out
    assert "DEFAULT_MODEL" in ended.err
    ended = await alone("validate", alone.team(), ATXP_LLM_URL=gateway, DEFAULT_MODEL="huge")
    assert ended.code == 2
    assert "huge: has no price" in ended.out


async def test_an_invalid_answer_of_the_gateway_is_a_note(
    alone: Starter, gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for status, body, printed in (
        (200, b"<html>", "not JSON"),
        (200, b"[]", "without a list"),
        (401, b"{}", "401"),
    ):
        monkeypatch.setattr(Models, "body", body)
        monkeypatch.setattr(Models, "status", status)
        ended = await alone("validate", alone.team(), ATXP_LLM_URL=gateway)
        assert ended.code == 0
        assert printed in ended.err


async def test_an_invalid_setting_is_named(alone: Starter) -> None:
    for command in (["validate", alone.team()], ["list"]):
        ended = await alone(*command, TEMPORAL_ADDRESS="nonsense")
        assert ended.code == 2
        assert "TEMPORAL_ADDRESS" in ended.err
        assert "Traceback" not in ended.err


async def test_each_missing_guarantee_of_the_provider_is_a_warning(
    alone: Starter, gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = alone.team(TEAM.replace("role: ", "model: small, role: "))
    ended = await alone("validate", good, ATXP_LLM_URL=gateway)
    assert ended.code == 0
    printed = {line.split(":")[2].strip() for line in lines(ended.out) if "warning" in line}
    assert printed == {f"ATXP_LLM_URL = {name}" for name in ("replay", "ledger", "transfer")}
    promises = {"hard_limit": False, "replay": True, "ledger": True, "transfer": True}
    body = json.dumps({**MODELS, "capabilities": promises}).encode()
    monkeypatch.setattr(Models, "body", body)
    ended = await alone("validate", good, "--json", ATXP_LLM_URL=gateway)
    (found,) = map(json.loads, lines(ended.out))
    assert (found["level"], found["value"]) == ("warning", "hard_limit")
    assert "may be overspent" in found["what"]
    assert "gateway" in found["remedy"]


async def test_documents_that_are_too_large_as_json_are_named_by_both(starter: Starter) -> None:
    """1.44 MB of rows, in which every quotation mark takes two bytes."""
    rows = '"12","Yes","No"\n' * 45_000
    for name in ("one.csv", "two.csv"):
        (starter.folder / name).write_text(rows)
    head, _, tasks = TEAM.partition("tasks:")
    agents = head.replace("budget_usd: 1}", "budget_usd: 1, inputs: [one.csv, two.csv]}", 1)
    path = starter.team(f"{agents}tasks:{tasks}", "rows.yaml")
    for command in ("validate", "start"):
        ended = await starter(command, path)
        assert ended.code == 2
        assert "the run's start input has 2,0" in ended.out + ended.err
        assert "Temporal takes 2,000,000" in ended.out + ended.err


async def test_of_very_many_problems_the_first_are_printed_and_how_to_see_all(
    alone: Starter,
) -> None:
    task = "  - {{id: t{}, agent: editor, ask: Read., colour: red}}\n"
    tasks = "".join(map(task.format, range(150)))
    path = alone.team(f"{TEAM.partition('tasks:')[0]}tasks:\n{tasks}result: t1\nmax_tasks: 150\n")
    ended = await alone("validate", path)
    assert (ended.code, len(lines(ended.out))) == (2, 51)
    assert lines(ended.out)[-1] == "and 100 more findings: --all prints all"
    assert f"{path}: 150 errors" in ended.err
    for option in ("--all", "--json"):
        assert len(lines((await alone("validate", path, option)).out)) == 150
    ended = await alone("start", path)
    assert "error: 150 problems" in ended.err
    assert "  and 100 more problems: `.venv/bin/python starter.py validate --all" in ended.err
    assert len(lines(ended.err)) == 52


async def test_an_address_is_repeated_without_its_secrets(alone: Starter) -> None:
    hook = TEAM + "notify_url: https://me:S3CRET@example.com/S3CRET y\n"
    ended = await alone("validate", alone.team(hook))
    assert "notify_url: this is not an http:// or https:// URL" in ended.out
    assert "S3CRET" not in ended.out
    server = 'tool_servers: {crm: {url: "https://me:S3CRET@crm.example/mcp?key=S3CRET"}}\n'
    remote = TEAM.replace(
        "role: Researcher,", 'role: Researcher, run: {a2a: "https://me:S3CRET@a.example"},'
    )
    for text in (TEAM + server, remote):
        ended = await alone("validate", alone.team(text))
        assert ended.code == 2
        assert "https://***@" in ended.out
        assert "S3CRET" not in ended.out + ended.err
    good = remote.replace("me:S3CRET@a.example", "a.example?token=S3CRET")
    ended = await alone("validate", alone.team(good))
    assert "a2a https://a.example?token=***" in ended.out, ended.out + ended.err
