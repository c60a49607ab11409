"""Arguments of commands, and services that do not answer."""

from tests.docs.tour.case import TEAM, Case, Section

LONG = "x" * 1_200

ARGUMENTS = Section(
    "Arguments",
    "Wrong usage exits with 2, and standard error says how to get help.",
    [
        Case("An unknown command", "starter.py spent brief",
             ["No such command 'spent'", "Did you mean 'spend'", "--help"]),
        Case("A missing argument", "starter.py budget brief research",
             ["Missing argument 'USD'", "starter.py budget --help"]),
        Case("An unknown option", "starter.py graph brief --mermiad",
             ["No such option: --mermiad", "--mermaid"]),
        Case("An option out of range", "starter.py list --limit 0",
             ["--limit", "greater than or equal to 1", "list --help"]),
        Case("An empty id", "starter.py state ''", ["RUN: is empty", "`list` shows them"]),
        Case("An id with a line break", "starter.py state $'a\\nb'",
             ["RUN = 'a\\nb': contains a line break", "`list` shows them"]),
        Case("An id with a space", "starter.py start team.yaml --id 'a b'",
             ["--id = a b: contains a space", "leave it out, or use letters and digits"],
             files={"team.yaml": TEAM}),
        Case("An id that starts with a dash", "starter.py start team.yaml --id=-x",
             ["--id = -x: starts with a dash"], files={"team.yaml": TEAM}),
        Case("An id that is too long", f"starter.py start team.yaml --id {LONG}",
             ["--id: 1,200 characters, the maximum is 1,000", "choose a short id"],
             files={"team.yaml": TEAM}),
        Case("An invalid amount", "starter.py budget brief research 1,50",
             ["USD = 1,50: this is not an amount", "write it like 0.25"]),
        Case("An amount with an underscore", "starter.py budget brief research "
             "1_0", ["USD = 1_0: this is not an amount", "write it like 0.25"]),
        Case("An amount of zero", "starter.py transfer brief research editor 0",
             ["USD = 0: is too small", "use more than 0"]),
        Case("A negative amount", "starter.py budget brief research -- -1",
             ["USD = -1: is too small", "use more than 0"]),
        Case("Less than a micro-dollar", "starter.py budget brief research 0.0000001",
             ["USD = 0.0000001: an amount has at most six decimal places", "round it"]),
        Case("An amount that is too large", "starter.py budget brief research 1000001",
             ["USD = 1000001: is too large", "use 1,000,000 or less"]),
        Case("An invalid agent name", "starter.py budget brief 'Mr. Research' 1",
             ["AGENT = Mr. Research: this is not a name", "small letter"]),
        Case("A reason that is too long", f"starter.py cancel brief --reason {LONG}",
             ["--reason = ", "(1,200 characters): more than 1,000 characters", "shorten it"]),
        Case("`agent` without a change", "starter.py agent brief research",
             ["nothing to change", "--model, --instructions, --timeout, --attempts"]),
        Case("A deadline that is not a time", "starter.py limits brief --deadline tomorrow",
             ["--deadline = tomorrow: this is not an ISO-8601 time",
              "write it like 2026-12-31T18:00"]),
        Case("A deadline without a time zone", "starter.py limits brief --deadline "
             "2026-12-31T18:00:00", ["its offset from UTC is missing", "write it like"]),
        Case("Too many calls at once", "starter.py limits brief --max-parallel 501",
             ["--max-parallel = 501: is too large", "use 500 or less"]),
        Case("A missing task file", "starter.py add-task brief task.yaml",
             ["task.yaml: task file: there is no file task.yaml", "check the path"]),
        Case("A task file with an unknown key", "starter.py add-task brief task.yaml",
             ["task.yaml:1: agnet: this key is not known", "did you mean `agent`?",
              "ask: is missing (add `ask:`)"], files={"task.yaml": "agnet: editor\nid: risks\n"}),
        Case("A report with an unknown format", "starter.py report brief --out brief.pdf",
             ["--out = brief.pdf: has no known format", "end it in .html, .md or .json"]),
        Case("Output that cannot be written", "starter.py schema > /dev/full",
             ["standard output cannot be written: No space left", "make room, or send it elsewh"]),
    ],
)  # fmt: skip

NOBODY = {"TEMPORAL_ADDRESS": "127.0.0.1:9"}

SERVICES = Section(
    "Services that do not respond",
    "They exit with 3: the input is not wrong, and the same command may succeed later.",
    [
        Case("No Temporal", "starter.py list", code=3, env=NOBODY, says=[
            "Temporal does not answer at 127.0.0.1:9 (Connection refused)", "start it with `make "
            "up`", "set TEMPORAL_ADDRESS"]),
        Case("No Temporal for `run`", "starter.py run team.yaml", code=3, env=NOBODY,
             files={"team.yaml": TEAM}, says=["Temporal does not answer", "`make up`"]),
        Case("TLS to a server without TLS", "starter.py list", code=3, env={"TEMPORAL_TLS": "true"},
             says=["(it does not speak TLS)", "TEMPORAL_TLS"]),
        Case("An unknown namespace", "starter.py list", code=3,
             env={"TEMPORAL_NAMESPACE": "elsewhere"}, says=[
                 "has no namespace 'elsewhere'", "set TEMPORAL_NAMESPACE",
                 "temporal operator namespace create --namespace elsewhere"]),
        Case("No gateway for `estimate`", "starter.py estimate team.yaml", code=3,
             files={"team.yaml": TEAM}, env={"ATXP_LLM_URL": "http://127.0.0.1:9/v1"}, says=[
                 "http://127.0.0.1:9/v1/models does not answer", "team.yaml: no prices",
                 "set ATXP_LLM_URL"]),
        Case("No gateway for `validate`: a note", "starter.py validate team.yaml", code=0,
             files={"team.yaml": TEAM}, env={"ATXP_LLM_URL": "http://127.0.0.1:9/v1"}, says=[
                 "good", "were not checked", "`make up`, or set ATXP_LLM_URL"]),
        Case("No provider for `reconcile`", "starter.py reconcile silent", code=3,
             given=["starter.py run team.yaml --id silent"], files={"team.yaml": TEAM},
             env={"ATXP_API_KEY": "parent", "ATXP_API_URL": "http://127.0.0.1:9/v1"}, says=[
                 "http://127.0.0.1:9/v1/agents/", "does not answer", "correct ATXP_API_URL"]),
        Case("A provider that rejects the key", "starter.py reconcile stranger", code=3,
             given=["starter.py run team.yaml --id stranger"], files={"team.yaml": TEAM},
             env={"ATXP_API_KEY": "not-the-parent-key"}, says=[
                 "/v1/agents/", "answered 401", "check ATXP_API_KEY"]),
        Case("No worker for `state`", "starter.py state lonely", code=3, worker="none",
             given=["starter.py start team.yaml --id lonely"], files={"team.yaml": TEAM}, says=[
                 "run lonely: no worker answered", "task queue `orchestrator`", "`make up`",
                 ".venv/bin/python worker.py`"]),
        Case("No worker for `budget`", "starter.py budget idle research 2", code=3, worker="none",
             given=["starter.py start team.yaml --id idle"], files={"team.yaml": TEAM}, says=[
                 "run idle: no worker confirmed the new budget", "may still take effect",
                 "`make up`"]),
    ],
)  # fmt: skip

SECTIONS = [ARGUMENTS, SERVICES]
