"""Folds what happened in a run into what is left of it: its plan, hand-offs, answer and settings.

Fed in the order of the history. Later events undo earlier ones: a task that is done again is open
until its next answer.
"""

from collections.abc import Callable, Iterable
from copy import copy
from decimal import Decimal

from durable_agent_team.contracts.approvals import ApprovalKind
from durable_agent_team.contracts.changes import AdjustRun
from durable_agent_team.contracts.control import AdjustBudget
from durable_agent_team.contracts.plan import Plan
from durable_agent_team.contracts.run import RunReport, RunRequest, TaskStatus
from durable_agent_team.contracts.seed import Paid, SeedAnswer, SeedPlan
from durable_agent_team.contracts.team import Task, Team
from durable_agent_team.rules.briefing import Briefing, PlanForm
from durable_agent_team.rules.ended_run import EndedRun, Made, seeded
from durable_agent_team.rules.graph import with_dependants
from durable_agent_team.rules.planning import parse_plan
from durable_agent_team.rules.review import parse_review
from durable_agent_team.rules.revision import is_added, to_do_again
from durable_agent_team.rules.team_changes import TeamChange, changed_team
from durable_agent_team.rules.validation import team_problems


class RunFold:
    """`position` is the place of an event in the history; a call's is where it was made."""

    def __init__(self, id: str, request: RunRequest) -> None:
        self._id = id
        self._request = request
        self._changes: list[TeamChange] = []
        self._planned: Made | None = None
        self._plan_paid = Paid()
        self._reviews_usd = Decimal(0)
        self._reviews = 0
        self._added: list[str] = []
        self._handoffs: dict[str, Made] = {}
        self._reopened: dict[str, int] = {}
        self._answer: Made | None = None
        self._approved: set[str] = set()
        """Tasks whose present hand-off a person has approved."""
        self._before_review: Callable[[], None] | None = None
        """Undoes the last review, for one that a person rejects."""
        self._has_report = False
        team, seed = request.team, request.seed
        self._plan = Plan(tasks=team.tasks, result=team.result) if team.tasks else None
        if seed is None:
            return
        if (plan := seed.plan) is not None:
            self._plan, self._plan_paid = plan.plan, plan
            self._reviews, self._added = plan.reviews, list(plan.added)
            self._planned = _made(plan.planned, seed.origin) if plan.planned else None
        self._handoffs = {name: _made(each, seed.origin) for name, each in seed.tasks.items()}
        self._answer = _made(seed.answer, seed.origin) if seed.answer is not None else None

    def planned(self, made: Made, form: PlanForm = PlanForm.NARROW) -> None:
        """The orchestrator answered with a plan. An invalid one went back to it, and so did one
        that was too expensive: the last one counts."""
        if not isinstance(made.output, str):
            return
        plan = parse_plan(made.output, self._briefing(form))
        if isinstance(plan, Plan):
            self._plan, self._planned = plan, made
            self._plan_paid = Paid(cost_usd=made.cost_usd, model=made.model)
            self._handoffs.clear()

    def done(self, task_id: str, made: Made, position: int) -> None:
        """A task's answer passed its checks. That of a superseded call does not count."""
        if self._reopened.get(task_id, 0) < position:
            self._handoffs[task_id] = made
            self._approved.discard(task_id)
            self._answer = None

    def approved(self, subject: str) -> None:
        """A person approved what waited under this name."""
        task_id, _, what = subject.partition(":")
        if what == ApprovalKind.HANDOFF:
            self._approved.add(task_id)

    def rejected(self, subject: str) -> None:
        """A person rejected it. A review is carried out only once it is approved."""
        if subject == ApprovalKind.REVIEW and self._before_review is not None:
            self._before_review()

    def reviewed(self, made: Made, position: int, form: PlanForm = PlanForm.NARROW) -> None:
        """The orchestrator answered a review, which may revise the plan."""
        if self._plan is None or not isinstance(made.output, str):
            return
        number = self._reviews + 1
        found = parse_review(made.output, self._briefing(form), self._plan, number)
        if isinstance(found, list) or found[0].finishes:
            return
        self._before_review = self._as_it_is()
        review, self._plan = found
        self._reviews, self._reviews_usd = number, made.cost_usd
        self._reopen(to_do_again(self._plan, review.redo), position)
        self._reopen(self._handoffs.keys() - {task.id for task in self._plan.tasks}, position)

    def _as_it_is(self) -> Callable[[], None]:
        names = ("_plan", "_reviews", "_reviews_usd", "_handoffs", "_reopened", "_answer")
        kept = {name: copy(getattr(self, name)) for name in names}

        def restore() -> None:
            self.__dict__.update(kept)
            self._before_review = None

        return restore

    def answered(self, made: Made) -> None:
        """The orchestrator wrote the final answer."""
        self._answer = made

    def changed(self, change: TeamChange) -> None:
        """A person changed settings."""
        self._changes.append(change)

    def added(self, task: Task) -> None:
        """A person added a task. One that cannot belong to the plan was refused."""
        tasks = self._plan.tasks if self._plan is not None else ()
        ids = {each.id for each in tasks}
        if self._plan is not None and task.id not in ids and ids >= {*task.depends_on}:
            self._plan = self._plan.model_copy(update={"tasks": (*tasks, task)})
            self._added.append(task.id)
            self._answer = None

    def retried(self, task_id: str, position: int) -> None:
        """A person had a task done again; it matters where it was done."""
        if task_id in self._handoffs and self._plan is not None:
            graph = {task.id: task.depends_on for task in self._plan.tasks}
            self._reopen(with_dependants(graph, [task_id]), position)

    def reported(self, report: RunReport) -> None:
        """The run's own report decides what is done; it has hand-offs that could not be read."""
        self._has_report = True
        ids = {each.task.id for each in report.outcomes}
        added = filter(is_added, (task.id for task in self._plan.tasks) if self._plan else ())
        if self._before_review is not None and not ids.issuperset(added):
            self._before_review()  # nobody has approved it in time
        done = {
            each.task.id: each for each in report.outcomes if each.task.status is TaskStatus.DONE
        }
        self._handoffs = {name: each for name, each in self._handoffs.items() if name in done}
        for name, outcome in done.items():
            text = outcome.handoff
            if name not in self._handoffs and text is not None:
                cost = outcome.task.spent_usd
                self._handoffs[name] = Made(text, cost, None, None, self._id)
        if report.answer is None:
            self._answer = None

    def ended_run(self) -> EndedRun:
        """The run after the last event."""
        request = self._settled_request()
        team = request.team
        plan = None
        written = (team.tasks, team.result)
        if self._plan is not None and (self._plan.tasks, self._plan.result) != written:
            paid = self._plan_paid.model_dump(include=set(Paid.model_fields), exclude_unset=True)
            plan = SeedPlan(
                **{**paid, "cost_usd": self._plan_paid.cost_usd + self._reviews_usd},
                plan=self._plan,
                reviews=self._reviews,
                added=tuple(self._added),
                planned=seeded(self._planned, self._id) if self._planned is not None else None,
            )
        known = {
            task.id
            for task in (self._plan.tasks if self._plan is not None else ())
            if self._has_report or task.approve != "after" or self._is_approved(task.id)
        }
        handoffs = {name: each for name, each in self._handoffs.items() if name in known}
        return EndedRun(self._id, request, plan, self._planned, handoffs, self._answer)

    def _is_approved(self, task_id: str) -> bool:
        """By a person here, or in the run that this one took its hand-off over from."""
        seed = self._request.seed
        taken_over = seed is not None and task_id in seed.tasks
        return task_id in self._approved or (taken_over and task_id not in self._reopened)

    def _briefing(self, form: PlanForm) -> Briefing:
        request = self._request
        return Briefing(request.team, request.effective_goal, form, request.texts)

    def _reopen(self, task_ids: Iterable[str], position: int) -> None:
        for task_id in tuple(task_ids):
            self._handoffs.pop(task_id, None)
            self._reopened[task_id] = position
        self._answer = None

    def _settled_request(self) -> RunRequest:
        """With the settings as they were at the end; without limits that no new run could have."""
        request = self._request.model_copy(update={"seed": None})
        without: tuple[type[TeamChange], ...]
        for without in ((), (AdjustBudget,), (AdjustBudget, AdjustRun)):
            team = request.team
            for change in self._changes:
                if not isinstance(change, without):
                    team = _with(team, change)
            settled = request.model_copy(update={"team": team})
            if not team_problems(settled):
                return settled
        return request


def _with(team: Team, change: TeamChange) -> Team:
    try:
        return changed_team(team, change)
    except KeyError:
        return team  # it was refused


def _made(answer: SeedAnswer, origin: str) -> Made:
    return Made(
        output=answer.text,
        cost_usd=answer.cost_usd,
        fingerprint=answer.fingerprint,
        model=answer.model,
        origin=answer.origin or origin,
    )
