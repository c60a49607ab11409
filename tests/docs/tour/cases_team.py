"""Team files, and the documents that they name."""

from tests.docs.tour.case import TEAM, Case, Section, team

VALIDATE = "starter.py validate team.yaml"


def wrong(title: str, text: str | bytes, *says: str) -> Case:
    return Case(title, VALIDATE, says, files={"team.yaml": text})


def usd(title: str, amount: str, *says: str) -> Case:
    text = TEAM.replace("{budget_usd: 1}", f"{{budget_usd: {amount}}}", 1)
    return wrong(title, text, "team.yaml:3: error: orchestrator.budget_usd", *says)


UNREADABLE = Section(
    "Team files that cannot be read",
    "`run`, `start`, `estimate` and `graph` print the same messages, and then do nothing.",
    [
        Case(
            "A file that does not exist", "starter.py validate taem.yaml",
            ["taem.yaml: error: team file: there is no file taem.yaml", "check the path"],
        ),
        Case(
            "A folder", "starter.py validate teams", files={"teams/": ""},
            says=["teams cannot be read (Is a directory)", "name a file in it"],
        ),
        wrong(
            "An empty file", "", "does not contain a team",
            "start with `name:`, `goal:` and `agents:`",
        ),
        wrong(
            "A list instead of a mapping", "- a\n- b\n", "does not contain a team",
            "start with `name:`",
        ),
        wrong(
            "Another encoding", TEAM.replace("Brief the", "Führe den").encode("latin-1"),
            "team.yaml is not UTF-8 text (byte 19)", "convert it to plain text in UTF-8",
        ),
        wrong("A huge file", "x" * 8_000_001, "more than 2,000,000 characters", "shorten it"),
        wrong(
            "A tab", "name: brief\n\tgoal: x\n", "team.yaml:2: error: YAML: found character '\\t'",
            "indent with spaces",
        ),
        wrong("A bracket that is not closed",
              "name: [\n", "team.yaml:", "YAML", "mind indentation"),
        wrong(
            "YAML that expands to billions of values", "a: &a [1, 1]\n" + "".join(
                f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else '*a'] * 9)}]\n" for n in range(9)
            ), "has more than 200,000 values", "fewer aliases",
        ),
        wrong("YAML that is nested too deeply",
              "a: " + "[" * 3000, "is nested too deeply", "ten levels"),
        wrong(
            "YAML that would run code", "name: !!python/object/apply:os.system [ls]\n",
            "team.yaml:1: error: YAML: could not determine a constructor", "os.system",
        ),
    ],
)  # fmt: skip

KEYS = Section(
    "Keys and values",
    "Each with its line, field, value and remedy; all errors of a file are reported at once.",
    [
        wrong(
            "A misspelled key", TEAM.replace("goal:", "gaol:"),
            "team.yaml:2: error: gaol: this key is not known", "did you mean `goal`?",
        ),
        wrong(
            "A missing key", TEAM.replace("{role: Researcher, ", "{"),
            "team.yaml:5: error: agents.research.role: is missing", "add `role:`",
        ),
        wrong("A duplicate key", TEAM + "name: other\n", "team.yaml:9", "keep one of th"),
        wrong(
            "An invalid name", TEAM.replace("name: brief", "name: My brief"),
            "name = 'My brief': this is not a name", "a small letter, then up to 39",
        ),
        wrong(
            "An unknown choice", team(agent=", on_exhausted: panic"),
            "on_exhausted = 'panic': this is not one of the choices", "'park', 'fallback', 'skip'",
        ),
        wrong(
            "A number out of range", team(more="max_parallel: 0\n"),
            "max_parallel = 0: is too small", "use 1 or more",
        ),
        wrong(
            "Text instead of a number", team(agent=", max_tokens: many"),
            "max_tokens = 'many': a whole number is needed here",
        ),
        usd("An invalid amount", "lots", "= 'lots': an amount in US dollars", "like 0.25"),
        usd("A negative amount", "-1", "= -1: is too small", "use more than 0"),
        usd("An amount that overflows",
            "1e400", "= '1e400': is too large", "use 1,000,000 or less"),
        usd("Not a number", ".nan", "= nan: this is not a finite number", "write it like 0.25"),
        usd("Less than a micro-dollar", "0.1234567", "at most six decimal places", "round it"),
        wrong(
            "An invalid notify_url", team(more="notify_url: nowhere\n"),
            "notify_url = 'nowhere': this is not an http:// or https:// URL", "write it like https://",
        ),
        wrong(
            "An unknown output format", team(task=", output: essay"),
            "tasks[0].output = 'essay': this is not an output",
            "`text`, `findings`, or a JSON Schema",
        ),
        wrong(
            "An invalid JSON Schema", team(task=", output: {type: nonsense}"),
            "tasks[0].output = $.type: this is not a JSON Schema", "'nonsense' is not a type",
            "one of object",
        ),
        wrong(
            "A JSON Schema with a remote reference", team(task=", output: {$ref: 'http://x/y'}"),
            "tasks[0].output = http://x/y", "never fetched", "put it under `$defs`",
        ),
    ],
)  # fmt: skip

TWO = TEAM.replace(
    "tasks:\n", "tasks:\n  - {id: text, agent: research, ask: Write., depends_on: [facts]}\n"
)

PLAN = Section(
    "Teams that cannot work",
    "Found before an account is opened: by `validate`, `run` and `start`, and by the workflow"
    " itself, which does not trust the starter.",
    [
        wrong(
            "An unknown agent", TEAM.replace("agent: research", "agent: reserch"),
            "tasks.facts.agent = reserch: no such agent", "did you mean `research`?",
        ),
        wrong(
            "An unknown dependency", team(task=", depends_on: [fact]"),
            "tasks.facts.depends_on = fact: no such task", "there are none",
        ),
        wrong(
            "A cycle", TWO.replace("the facts.", "the facts., depends_on: [text]"),
            "tasks = text -> facts -> text", "in a cycle", "remove one of the dependencies",
        ),
        wrong(
            "Two tasks with the same id", TWO.replace("id: text", "id: facts"),
            "tasks.facts: 2 tasks have this id", "rename one",
        ),
        wrong(
            "An unknown result task", TEAM.replace("result: facts", "result: fact"),
            "result = fact: no such task", "did you mean `facts`?",
        ),
        wrong("No goal", TEAM.replace("goal: Brief the board\n", ""), "goal: missing", "--goal"),
        wrong(
            "No limit", TEAM.replace(", budget_usd: 1}", "}"),
            "agents.research.budget_usd: no limit", "give the agent one, or the team one to share",
        ),
        wrong(
            "A team budget below the sum of the agents' limits", TEAM + "budget_usd: 1.5\n",
            "budget_usd = 1.5: the agents' own limits come to 2 USD", "raise the team's budget_usd",
        ),
        wrong(
            "No fallback model", team(agent=", on_exhausted: fallback"),
            "agents.research.on_exhausted = fallback: there is no model", "fallback_model",
        ),
        wrong(
            "A check that no answer can pass",
            team(task=", checks: {min_length: 9, max_length: 3}"),
            "tasks.facts.checks.min_length = 9: above max_length, 3", "swap them",
        ),
        wrong(
            "More tasks than allowed", TWO + "max_tasks: 1\n",
            "tasks = 2: more than max_tasks, 1", "raise max_tasks, or merge tasks",
        ),
        wrong(
            "An agent with the orchestrator's name",
            TEAM.replace("  research:", "  orchestrator:").replace("agent: res", "agent: orch"),
            "agents.orchestrator: this name is the orchestrator's own", "rename the agent",
        ),
        Case(
            "A model without a price", VALIDATE,
            files={"team.yaml": team(agent=", model: house-9")},
            says=["agents.research.model = house-9: has no price", '[models."house-9"]',
                  "output_usd_per_million"],
        ),
        Case(
            "A model whose provider has no key", VALIDATE,
            files={"team.yaml": team(agent=", model: gpt-5-mini")},
            says=["agents.research.model = gpt-5-mini: cannot be called", "it needs OPENAI_API_KEY",
                  "set OPENAI_API_KEY"],
        ),
        Case(
            "Documents that do not fit in the model's context", VALIDATE,
            files={"team.yaml": team(task=", inputs: [long.md]", agent=", model: smollm2-135m"),
                   "long.md": "tin " * 12_000},
            says=["tasks.facts.inputs", "context of 8192 tokens", "shorten"],
        ),
        Case(
            "A warning: a limit above the orchestrator's", VALIDATE, code=0,
            files={"team.yaml": TEAM.replace("Researcher, budget_usd: 1", "R, budget_usd: 9")},
            says=["warning: agents.research.budget_usd = 9", "above the orchestrator's limit",
                  "usually the smaller one"],
        ),
    ],
)  # fmt: skip


def document(title: str, name: str, content: str | bytes, *says: str) -> Case:
    files = {"team.yaml": team(task=f", inputs: [{name}]"), name: content}
    return Case(title, VALIDATE, ["tasks[0].inputs[0]", *says], files=files)


DOCUMENTS = Section(
    "Documents and goals",
    "",
    [
        Case(
            "A missing document", VALIDATE,
            files={"team.yaml": team(task=", inputs: [market.md]")},
            says=["team.yaml:7: error: tasks[0].inputs[0] = market.md: there is no file market.md"],
        ),
        Case(
            "A document outside the team file's folder", VALIDATE,
            files={"team.yaml": team(task=", inputs: [../market.md]")},
            says=["team.yaml:7: error: tasks[0].inputs[0] = ../market.md: this is outside the team "
                  "file's folder", "copy it there", "`--input TASK=FILE`"],
        ),
        document("A folder as a document", "docs/", "", "Is a directory", "name a file in it"),
        document("A document that is not text", "a.pdf", b"%PDF\xff", "a.pdf is not UTF-8 text"
                 " (byte 4)", "convert it to plain text"),
        document("A document that is too long", "a.md", "x" * 1_000_001, "1,000,001 characters",
                 "the maximum is 1,000,000", "split it into several documents"),
        Case(
            "--input without a file", f"{VALIDATE} --input facts", files={"team.yaml": TEAM},
            says=["--input = facts: not TASK=FILE", "write --input market=news.md"],
        ),
        Case(
            "--input for an unknown task", f"{VALIDATE} --input fact=a.md",
            files={"team.yaml": TEAM, "a.md": "A."},
            says=["--input = fact=a.md: no such task", "did you mean `facts`?"],
        ),
        Case(
            "An empty goal", f"{VALIDATE} --goal ''", files={"team.yaml": TEAM},
            says=["--goal: 0 characters", "use 1 to 4000"],
        ),
        Case(
            "`init` with a file that exists already", "starter.py init team",
            files={"team.yaml": TEAM},
            says=["NAME = team: team.yaml is there already", "choose another name"],
        ),
        Case(
            "`init` with an invalid name", "starter.py init 'My Team'",
            says=["NAME = My Team: this is not a name", "a small letter"],
        ),
    ],
)  # fmt: skip

SECTIONS = [UNREADABLE, KEYS, PLAN, DOCUMENTS]
