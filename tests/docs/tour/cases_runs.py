"""Runs that are refused, refuse, wait or fail, all of them on real services."""

from tests.docs.tour.case import TEAM, Case, Section, team

RUN = {"team.yaml": TEAM}
START = "starter.py start team.yaml --id"

REFUSED = Section(
    "Runs that do not exist, or have ended",
    "",
    [
        Case("An unknown run", "starter.py state nobody",
             ["run nobody: no such run", "`starter.py list` shows"]),
        Case("An id that is in use", f"{START} taken", files=RUN, given=[f"{START} taken"],
             says=["run id taken: already taken", "choose another id, or leave it out"]),
        Case("A workflow of another type", "starter.py cancel other", says=[
             "run other: this is a workflow of type `Other`", "`starter.py list`"],
             given=["temporal workflow start --type Other --task-queue nobodys --workflow-id "
                    "other"]),
        Case("A run that has ended", "starter.py cancel ended", files=RUN,
             given=["starter.py run team.yaml --id ended"],
             says=["run ended: it has ended", "`starter.py result ended` shows how"]),
        Case("An unknown task", "starter.py task looked fact", files=RUN,
             given=["starter.py run team.yaml --id looked"],
             says=["TASK = fact: no such task", "there are: facts, answer"]),
        Case("A report that cannot be written", "starter.py report written --out no/where.md",
             files=RUN, given=["starter.py run team.yaml --id written"],
             says=["--out = no/where.md: cannot be written: No such file", "an existing folder"]),
        Case("A report of an open run", "starter.py report early --out early.md",
             files={"team.yaml": TEAM + "approve_plan: true\n"}, given=[f"{START} early"],
             says=["run early: it is still open", "`starter.py result early` waits for it"]),
        Case("`reconcile` of an open run", "starter.py reconcile busy",
             files={"team.yaml": TEAM + "approve_plan: true\n"}, given=[f"{START} busy"],
             env={"ATXP_API_KEY": "parent"},
             says=["run busy: it is still open", "`starter.py cancel busy` makes it end"]),
        Case("A run that Temporal terminated", "starter.py result killed", code=1,
             files={"team.yaml": TEAM + "approve_plan: true\n"},
             given=[f"{START} killed", "temporal workflow terminate --workflow-id killed "
                   "--reason 'a mistake'"],
             says=["run killed: terminated in Temporal without a report (a mistake)",
                   "starter.py reconcile killed"]),
        Case("The spending of a terminated run", "starter.py spend cut", code=0, part="total",
             files={"team.yaml": TEAM + "approve_plan: true\n"}, given=[
                 f"{START} cut", "starter.py state cut",
                 "temporal workflow terminate --workflow-id cut"],
             says=["Temporal ended the run", "accounts may be open",
                   "`starter.py reconcile cut` closes and reads them"]),
        Case("An empty start input", "starter.py result raw", says=[
             "run raw was refused", "team: missing"],
             given=["temporal workflow start --type Orchestrator --task-queue orchestrator "
                    "--workflow-id raw --input {}", "starter.py result raw"]),
        Case("A start input with a problem", "starter.py result bad", says=[
             "run bad was refused", "team.agents = {}"],
             given=["temporal workflow start --type Orchestrator --task-queue orchestrator "
                    '--workflow-id bad --input \'{"team": {"name": "a", "agents": {}}}\'']),
    ],
)  # fmt: skip

OPEN = {"team.yaml": team(more="approve_plan: true\n", task="}\n  - {id: b, agent: other, ask: B.")
        .replace("tasks:", "  other: {role: Other, budget_usd: 1}\ntasks:")}  # fmt: skip


def steering(run: str, title: str, command: str, *says: str, code: int = 2) -> Case:
    return Case(title, command.replace("RUN", run), says, code, files=OPEN,
                given=[f"{START} {run}"], until=(run, "approval"))  # fmt: skip


POOR = {"team.yaml": TEAM.replace("Researcher, budget_usd: 1", "R, budget_usd: 0.000001")}


def parked(run: str, title: str, command: str, *says: str, code: int = 2) -> Case:
    return Case(title, command.replace("RUN", run), says, code, files=POOR,
                given=[f"{START} {run}"], until=(run, "parked"))  # fmt: skip


STEERING = Section(
    "Commands that a run refuses",
    "The message is the run's own, from `starter.py` and from Temporal's command line alike."
    " Nothing has changed then.",
    [
        steering("steer-1", "A limit for an unknown agent", "starter.py budget RUN nobody 1",
                 "agent = 'nobody': no such agent", "research, other"),
        steering("steer-2", "A transfer of more than remains",
                 "starter.py transfer RUN research other 9", "research", "9", "left"),
        steering("steer-3", "A transfer to the same agent",
                 "starter.py transfer RUN research research 0.1", "research"),
        parked("steer-4", "A retry of an unknown task", "starter.py retry RUN zzz",
               "task = 'zzz': no such task", "only what is done, has failed or is parked"),
        parked("steer-5", "An unknown task", "starter.py cancel-task RUN zzz",
               "task = 'zzz': no such task"),
        steering("steer-9", "Settings for an unknown agent",
                 "starter.py agent RUN nobody --attempts 3", "agent = 'nobody': no such agent"),
        steering("steer-10", "A model that the gateway does not know",
                 "starter.py agent RUN research --model house-9",
                 "model = 'house-9': is not known at the gateway", "one of: smollm2-135m"),
        steering("steer-11", "A task before the plan is approved",
                 "temporal workflow update execute --workflow-id RUN --name add_task --input "
                 '\'{"id": "more", "agent": "other", "ask": "More."}\'',
                 "the plan waits for approval (approve it first", code=1),
        parked("steer-12", "A task for an unknown agent",
               "temporal workflow update execute --workflow-id RUN --name add_task --input "
               '\'{"id": "more", "agent": "other", "ask": "More.", "depends_on": ["fact"]}\'',
               "agent = other: no such agent (one of: research)", "depends_on = fact: no such task",
               code=1),
        steering("steer-13", "A deadline in the past",
                 "starter.py limits RUN --deadline 2020-01-01T00:00:00Z",
                 "deadline = ", ": is in the past; it is ", "cancel ends it at once"),
        steering("steer-14", "A team budget below the sum of the agents' limits",
                 "starter.py limits RUN --budget 1",
                 "budget_usd = 1: the agents' limits come to", "lower them first"),
        steering("steer-6",
                 "An approval of something that does not wait", "starter.py approve RUN answer",
                 "subject = 'answer'", "plan"),
        Case("An update with wrong types", "temporal workflow update execute --workflow-id steer-7 "
             "--name adjust_budget --input '{\"agent\": 5}'", code=1, files=OPEN,
             given=[f"{START} steer-7"], until=("steer-7", "approval"),
             says=["agent = 5", "budget_usd: missing", "InvalidInput"]),
        Case("A signal with wrong types: recorded, never fatal", "starter.py state steer-8", code=0,
             files=OPEN, until=("steer-8", "approval"), part="what was not", given=[
                 f"{START} steer-8", "temporal workflow signal --workflow-id steer-8 --name adjust "
                 "--input '{\"kind\": \"raise\"}'"],
             says=["messages that were rejected, and changed nothing",
                   "adjust: kind = 'raise': one of"]),
    ],
)  # fmt: skip


def waits(run: str, title: str, text: str, status: str, *says: str) -> Case:
    return Case(title, f"starter.py state {run}", says, code=0, files={"team.yaml": text},
                part="waiting for a person",
                given=[f"{START} {run}"], until=(run, status))  # fmt: skip


ONCE = ", on_failure: fail, retry: {max_attempts: 1, give_up_after_seconds: 0}"
AGAIN = """\
  other: {role: Other, budget_usd: 1}
tasks:
  - {id: first, agent: other, ask: Ask for a nap.}
  - {id: more, agent: research, ask: List more., depends_on: [first]}
"""
"""`more` is ready only when another task of its agent has failed."""

WAITING = Section(
    "What waits for an operator",
    "These are not errors: the run reports why it waits, until when, and the command that wakes"
    " it.",
    [
        waits("poor", "An exhausted account", POOR["team.yaml"], "parked",
              "facts waits (required", "until", "starter.py budget --raise-only poor research"),
        waits("breaker", "An agent that fails repeatedly",
              team("Ask for 500.", f", breaker_failures: 1{ONCE}")
              .replace("tasks:\n", AGAIN), "parked",
              "more waits", "its last call failed", "starter.py retry breaker more"),
        waits("plan", "A plan that needs approval", TEAM + "approve_plan: true\n", "approval",
              "plan waits", "starter.py approve plan plan"),
        Case("A worker with another sealing key", "starter.py state sealed", code=0,
             worker="other key", part="waiting for a person",
             files={"team.yaml": team(more="approve_plan: true\n")},
             before=[f"{START} sealed"], begun=("sealed", "approval"),
             given=["starter.py approve sealed plan"], until=("sealed", "parked"),
             says=["facts waits", "SEALING_KEY", "give every worker", "starter.py retry sealed"]),
    ],
)  # fmt: skip


def fails(run: str, title: str, ask: str, *says: str, agent: str = ONCE, task: str = "") -> Case:
    return Case(title, f"starter.py run team.yaml --id {run}", says, code=1, part="failed",
                files={"team.yaml": team(ask, agent, task)})  # fmt: skip


FAILED = Section(
    "Tasks and runs that fail",
    "The type decides what happens next ([failures](failures.md)), the message says what"
    " happened, and `what to do` is the remedy. Errors that are retried are shown with a single"
    " attempt.",
    [
        fails("f-429", "Too many requests", "Ask for 429.", "facts: RateLimited: ", "429",
              "Lower `max_parallel`"),
        fails("f-500", "An upstream that fails", "Ask for 500.", "facts: UpstreamUnavailable: ",
              "500", "Check that the gateway and its upstream are"),
        fails("f-slow", "No answer in time", "Ask for a long nap.", "facts: UpstreamTimeout: ",
              "Raise the agent's `timeout_seconds`", agent=f"{ONCE}, timeout_seconds: 3"),
        fails("f-html", "A response that is not JSON", "Ask for HTML.", "facts: ", "JSON",
              "what to do"),
        fails("f-403", "An upstream that refuses the gateway", "Ask for 403.",
              "facts: UpstreamRefused: ", "The upstream answered 403: scripted 403", "what to"),
        fails("f-400", "A request that the upstream rejects", "Ask for 400.",
              "facts: BadRequest: ", "scripted 400", "The message says what"),
        fails("f-check", "An answer that fails its checks", "List.", "facts: CheckFailed: ",
              "at least 900 are asked for", "Loosen", task=", checks: {min_length: 900}"),
        fails("f-after",
              "A task that depends on a failed one", "Ask for 400.", "facts: BadRequest: ",
              "text: DependencyFailed: ", "Look up that task",
              task="}\n  - {id: text, agent: research, ask: Write., depends_on: [facts]"),
        fails("f-price", "A model without a price", "List.", "was refused",
              "agents.research.model = house-9: has no price", '[models."house-9"]',
              agent=", model: house-9"),
    ],
)  # fmt: skip
FAILED = Section(FAILED.title, FAILED.about, [
    *FAILED.cases[:-1],
    Case("A model without a price", "starter.py run team.yaml --id f-price",
         FAILED.cases[-1].says, code=2, part="error:", files=FAILED.cases[-1].files),
    Case("An exhausted account, with `on_exhausted: fail`",
         "starter.py run team.yaml --id f-money", code=1, part="failed", says=[
             "facts: BudgetExhausted (required", "remaining", "Raise the agent's `budget_usd`"],
         files={"team.yaml": POOR["team.yaml"].replace("001}", "001, on_exhausted: fail}")}),
    Case("An invalid plan", "starter.py run team.yaml --id f-plan", code=1, part="failed",
         says=["InvalidPlan: ", "Write the tasks in the team file"],
         files={"team.yaml": TEAM.partition("tasks:")[0].replace("{budget_usd: 1}",
                "{budget_usd: 1, retry: {max_attempts: 1}}", 1).replace("Brief the board",
                "Plan nonsense")}),
])  # fmt: skip

SECTIONS = [REFUSED, STEERING, WAITING, FAILED]
