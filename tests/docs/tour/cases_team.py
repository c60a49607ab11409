"""Team files, and the documents that they name."""

from tests.docs.tour.case import TEAM, Case, Section, team

VALIDATE = "starter.py validate team.yaml"


def wrong(title: str, text: str | bytes, *says: str) -> Case:
    return Case(title, VALIDATE, says, files={"team.yaml": text})


def usd(title: str, amount: str, *says: str) -> Case:
    text = TEAM.replace("{budget_usd: 1}", f"{{budget_usd: {amount}}}", 1)
    return wrong(title, text, "team.yaml:3: error: orchestrator.budget_usd", *says)


UNREADABLE = Section(
    "A team file that cannot be read",
    "The same texts come from `run`, `start`, `estimate` and `graph`, which then do nothing.",
    [
        Case(
            "It is not there", "starter.py validate taem.yaml",
            ["taem.yaml: error: team file: there is no file taem.yaml", "check the path"],
        ),
        Case(
            "It is a folder", "starter.py validate teams", files={"teams/": ""},
            says=["teams cannot be read (Is a directory)", "name a file in it"],
        ),
        wrong("It is empty", "", "holds no team", "start with `name:`, `goal:` and `agents:`"),
        wrong("It is a list", "- a\n- b\n", "holds no team", "start with `name:`"),
        wrong(
            "It is in another encoding", TEAM.replace("Brief the", "Führe den").encode("latin-1"),
            "team.yaml is no UTF-8 text (byte 19)", "convert it to plain text in UTF-8",
        ),
        wrong("It is huge", "x" * 4_000_001, "more than 1,000,000 characters", "shorten it"),
        wrong(
            "A tab", "name: brief\n\tgoal: x\n", "team.yaml:2: error: YAML: found character '\\t'",
            "mind indentation",
        ),
        wrong("A bracket that stays open", "name: [\n", "team.yaml:", "YAML", "mind indentation"),
        wrong(
            "It means billions of values", "a: &a [1, 1]\n" + "".join(
                f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else '*a'] * 9)}]\n" for n in range(9)
            ), "is too large or refers to itself",
        ),
        wrong("It is nested without end", "a: " + "[" * 3000, "is nested too deeply", "ten levels"),
        wrong(
            "It wants to run code", "name: !!python/object/apply:os.system [ls]\n",
            "team.yaml:1: error: YAML: could not determine a constructor", "os.system",
        ),
    ],
)  # fmt: skip

KEYS = Section(
    "A key or a value in it",
    "Each with its line, its field, its value and a remedy; all of a file are told at once.",
    [
        wrong(
            "A key with a slip", TEAM.replace("goal:", "gaol:"),
            "team.yaml:2: error: gaol: this key is not known", "did you mean `goal`?",
        ),
        wrong(
            "A key that is missing", TEAM.replace("{role: Researcher, ", "{"),
            "team.yaml:5: error: agents.research.role: is missing", "add `role:`",
        ),
        wrong("A key that is there twice", TEAM + "name: other\n", "team.yaml:9", "keep one of th"),
        wrong(
            "A name that is none", TEAM.replace("name: brief", "name: My brief"),
            "name = 'My brief': this is no name", "a small letter, then up to 39",
        ),
        wrong(
            "A choice that there is not", team(agent=", on_exhausted: panic"),
            "on_exhausted = 'panic': this is none of the choices", "'park', 'fallback', 'skip'",
        ),
        wrong(
            "A number out of its bounds", team(more="max_parallel: 0\n"),
            "max_parallel = 0: is too small", "use 1 or more",
        ),
        wrong(
            "A text where a number belongs", team(agent=", max_tokens: many"),
            "max_tokens = 'many': a whole number is needed here",
        ),
        usd("An amount that is none", "lots", "= 'lots': an amount in US dollars", "like 0.25"),
        usd("An amount below zero", "-1", "= -1: is too small", "use more than 0"),
        usd("An amount of no size", "1e400", "= '1e400': is too large", "use 1,000,000 or less"),
        usd("Not a number", ".nan", "= nan: this is no finite number", "write it like 0.25"),
        usd("Less than a micro-dollar", "0.1234567", "at most six decimal places", "round it"),
        wrong(
            "A notify_url that is no URL", team(more="notify_url: nowhere\n"),
            "notify_url = 'nowhere': this is no http:// or https:// URL", "write it like https://",
        ),
        wrong(
            "An output that is neither a name nor a schema", team(task=", output: essay"),
            "tasks[0].output = 'essay': this is no output", "`text`, `findings`, or a JSON Schema",
        ),
        wrong(
            "A JSON Schema that is none", team(task=", output: {type: nonsense}"),
            "tasks[0].output = $.type: this is no JSON Schema", "'nonsense'", "correct it there",
        ),
        wrong(
            "A schema that would have to be fetched", team(task=", output: {$ref: 'http://x/y'}"),
            "tasks[0].output = http://x/y", "never fetched", "put it under `$defs`",
        ),
    ],
)  # fmt: skip

TWO = TEAM.replace(
    "tasks:\n", "tasks:\n  - {id: text, agent: research, ask: Write., depends_on: [facts]}\n"
)

PLAN = Section(
    "A team that could not work",
    "Seen before anything is opened or spent: by `validate`, by `run` and `start`, and by the"
    " workflow itself, which trusts no starter.",
    [
        wrong(
            "An agent that there is not", TEAM.replace("agent: research", "agent: reserch"),
            "tasks.facts.agent = reserch: no such agent", "one of: research",
        ),
        wrong(
            "A dependency that there is not", team(task=", depends_on: [fact]"),
            "tasks.facts.depends_on = fact: no such task", "one of: none",
        ),
        wrong(
            "A cycle", TWO.replace("the facts.", "the facts., depends_on: [text]"),
            "tasks = text -> facts -> text", "in a cycle", "remove one of the dependencies",
        ),
        wrong(
            "Two tasks of one name", TWO.replace("id: text", "id: facts"),
            "tasks.facts: 2 tasks have this id", "rename one",
        ),
        wrong(
            "A result that there is not", TEAM.replace("result: facts", "result: fact"),
            "result = fact: no such task", "one of: facts",
        ),
        wrong("No goal", TEAM.replace("goal: Brief the board\n", ""), "goal: missing", "--goal"),
        wrong(
            "No limit", TEAM.replace(", budget_usd: 1}", "}"),
            "agents.research.budget_usd: no limit", "give the agent one, or the team one to share",
        ),
        wrong(
            "A limit above the agents' limits that is below them", TEAM + "budget_usd: 1.5\n",
            "budget_usd = 1.5: the agents' own limits come to 2 USD", "raise the team's budget_usd",
        ),
        wrong(
            "Nothing to fall back to", team(agent=", on_exhausted: fallback"),
            "agents.research.on_exhausted = fallback: there is no model", "fallback_model",
        ),
        wrong(
            "A check that nothing can pass", team(task=", checks: {min_length: 9, max_length: 3}"),
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
            "A model without a price", VALIDATE, files={"team.yaml": team(agent=", model: gpt-9")},
            says=["agents.research.model = gpt-9: has no price", '[models."gpt-9"]',
                  "output_usd_per_million"],
        ),
        Case(
            "Documents that do not fit the model", VALIDATE,
            files={"team.yaml": team(task=", inputs: [long.md]", agent=", model: smollm2-135m"),
                   "long.md": "tin " * 12_000},
            says=["tasks.facts.inputs", "context of 8192 tokens", "shorten"],
        ),
        Case(
            "A warning: more than the orchestrator has", VALIDATE, code=0,
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
            "A document that is not there", VALIDATE,
            files={"team.yaml": team(task=", inputs: [market.md]")},
            says=["team.yaml:7: error: tasks[0].inputs[0] = market.md: there is no file market.md"],
        ),
        Case(
            "A document outside the team file's folder", VALIDATE,
            files={"team.yaml": team(task=", inputs: [../market.md]")},
            says=["team.yaml:7: error: tasks[0].inputs[0] = ../market.md: this is outside the team "
                  "file's folder", "copy it there", "`--input TASK=FILE`"],
        ),
        document("A document that is a folder", "docs/", "", "Is a directory", "name a file in it"),
        document("A document that is no text", "a.pdf", b"%PDF\xff", "a.pdf is no UTF-8 text (byte"
                 " 4)", "convert it to plain text"),
        document("A document that is too long", "a.md", "x" * 1_000_001, "1,000,001 characters",
                 "1,000,000 are the most", "shorten it"),
        Case(
            "--input without a file", f"{VALIDATE} --input facts", files={"team.yaml": TEAM},
            says=["--input = facts: not TASK=FILE", "write --input market=news.md"],
        ),
        Case(
            "--input for a task that there is not", f"{VALIDATE} --input fact=a.md",
            files={"team.yaml": TEAM, "a.md": "A."},
            says=["--input = fact=a.md: no such task", "did you mean `facts`?"],
        ),
        Case(
            "An empty goal", f"{VALIDATE} --goal ''", files={"team.yaml": TEAM},
            says=["--goal: 0 characters", "use 1 to 4000"],
        ),
        Case(
            "A first team file that is there already", "starter.py init team",
            files={"team.yaml": TEAM},
            says=["NAME = team: team.yaml is there already", "choose another name"],
        ),
        Case(
            "A first team file of no name", "starter.py init 'My Team'",
            says=["NAME = My Team: this is no name", "a small letter"],
        ),
    ],
)  # fmt: skip

SECTIONS = [UNREADABLE, KEYS, PLAN, DOCUMENTS]
