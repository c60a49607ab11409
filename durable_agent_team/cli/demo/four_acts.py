"""The demo: four short acts with a real model, a real server and two real crashes.

Exit codes: 0 all checks passed; 1 one failed, or the stack did not start;
2 a setting is wrong or a port is taken; 130 interrupted.
"""

import asyncio
import signal
import textwrap
import time
from collections.abc import Sequence

from durable_agent_team.cli.demo import run_checks, tool_act
from durable_agent_team.cli.demo.demo_acts import Act, Stage, is_midway, quotes
from durable_agent_team.cli.output import aligned_table, print_heading, print_line, print_note, usd
from durable_agent_team.cli.provider_accounts import ProviderFailed
from durable_agent_team.client.connection import ServiceUnavailable, connect
from durable_agent_team.client.exceptions import RunError
from durable_agent_team.contracts.run import TaskStatus
from durable_agent_team.local_stack.lifecycle import local_stack, running_stack
from durable_agent_team.local_stack.stack import StackFailed
from durable_agent_team.process.project_root import IS_CHECKOUT
from durable_agent_team.process.settings import ClientSettings, SettingsError, made_of
from durable_agent_team.process.stack_state import StackInfo
from durable_agent_team.team_files.team_file import TeamFileError

WIDTH = 88
POOR = "poor"


async def demo() -> int:
    """Runs the four acts; returns the exit code."""
    main = asyncio.current_task()
    assert main is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, main.cancel)
    started = time.monotonic()
    running = running_stack()
    print_heading("the local stack: " + ("the one that is up" if running else "starting"))
    async with local_stack(lambda line: print_line(f"  {line}")) as info:
        stage = Stage(await connect(made_of(info.env, ClientSettings)), info)
        acts = [await act(stage) for act in (act_1, act_2, act_3, act_4)]
        print_summary(acts, info, time.monotonic() - started)
    failed = [check for act in acts for check in act.checks if not check.passed]
    for check in failed:
        print_line(f"CHECK FAILED: {check.text} ({check.seen})")
    return 1 if failed else 0


async def act_1(stage: Stage) -> Act:
    print_heading("act 1: parallel work over documents, and a crash in the middle")
    act = await stage.play("act 1", "market_brief.yaml", kill_when=is_midway)
    act.add_checks(run_checks.nothing_lost(act.crash, act.report, act.evidence))
    return check_always(act)


async def act_2(stage: Stage) -> Act:
    print_heading("act 2: the same goal, no tasks given: the orchestrator plans")
    act = await stage.play("act 2", "market_brief_planned.yaml")
    asks = {call.request.task: call.request.ask for call in act.evidence.calls}
    for outcome in act.report.outcomes:
        task = outcome.task
        after = f" (after {', '.join(task.depends_on)})" if task.depends_on else ""
        print_line(f"  {task.id} -> {task.agent}: {asks.get(task.id, '')}{after}")
    act.add_checks(run_checks.planned(act.request.team, act.report, act.evidence))
    return check_always(act)


async def act_3(stage: Stage) -> Act:
    print_heading("act 3: one agent with a tiny account")
    act = await stage.play("act 3", "tiny_budget.yaml")
    for failed in (o.task for o in act.report.outcomes if o.task.status is TaskStatus.FAILED):
        if (why := failed.failure) and why.required_usd is not None:
            print_line(
                f"  {failed.agent} was refused: required {usd(why.required_usd)} USD,"
                f" remaining {usd(why.remaining_usd)} USD"
            )
    rows = [
        [
            each.agent,
            usd(each.budget_usd),
            usd(each.spent_usd),
            usd(each.budget_usd - each.spent_usd),
        ]
        for each in act.evidence.accounts
    ]
    head = ["account at the gateway", "budget USD", "spent USD", "balance USD"]
    print_line(textwrap.indent(aligned_table(head, rows, right=(1, 2, 3)), "  "))
    act.add_checks(
        run_checks.only_this_agent_refused(POOR, act.request.team, act.report, act.evidence)
    )
    return check_always(act)


async def act_4(stage: Stage) -> Act:
    print_heading("act 4: an agent with a tool, and a crash while the tool runs")
    return check_always(await tool_act.play(stage))


def check_always(act: Act) -> Act:
    """Adds the checks that every act has."""
    goal = act.report.goal
    act.add_checks(run_checks.completed(act.report))
    act.add_checks(run_checks.goal_only_in_own_prompts(goal, act.evidence))
    act.add_checks(run_checks.money_adds_up(act.report, act.evidence))
    return act


def print_summary(acts: Sequence[Act], info: StackInfo, elapsed: float) -> None:
    """Prints the answer, the spend of each agent, both sums, and the number of checks."""
    act = acts[0]
    print_result(act)
    print_heading("what each agent spent, in USD (at a demonstration price; it cost you nothing)")
    print_line(textwrap.indent(spend_table(acts), "  "))
    print_heading("look at it")
    print_line(f"  `make up`, then {info.ui_url}/namespaces/default/workflows")
    for act in acts:
        print_line(f"  {act.title}: {act.report.workflow_id}")
    count = sum(len(act.checks) for act in acts)
    passed = sum(check.passed for act in acts for check in act.checks)
    print_line(f"\n{passed} of {count} checks passed, in {elapsed:.0f} s")


def print_result(act: Act) -> None:
    """The quotes, which are true to their sources: sentences of such a small model are not."""
    print_heading("the result of act 1: quotes, each checked word for word against its source")
    print_line(f"  goal: {act.report.goal}")
    for quote in quotes(act.handoff(act.request.team.result)):
        print_line(textwrap.fill(quote, WIDTH, initial_indent="  - ", subsequent_indent="    "))
    print_line("  The bundled model has 135 million parameters: its own sentences contradict them.")


def spend_table(acts: Sequence[Act]) -> str:
    """A row for each agent, a column for each act; then the run's sum and the gateway's."""
    spent = [{each.agent: each.spent_usd for each in act.report.spend.agents} for act in acts]
    agents = list(dict.fromkeys(agent for one in spent for agent in one))
    rows = [[agent, *(usd(one.get(agent)) for one in spent)] for agent in agents]
    rows.append(["sum, by the run", *(usd(act.report.spend.total.spent_usd) for act in acts)])
    rows.append(["sum, by the gateway's ledger", *(usd(act.evidence.ledger_usd) for act in acts)])
    return aligned_table(
        ["agent", *(act.title for act in acts)], rows, right=range(1, len(acts) + 1)
    )


def main() -> int:
    """Runs the demo, and ends everything that it started."""
    if not IS_CHECKOUT:
        print_note("the demo runs in a checkout of the repository: `make demo`")
        return 2
    try:
        return asyncio.run(demo())
    except SettingsError as error:
        print_note(f"the demo cannot start:\n{error}")
        return 2
    except (StackFailed, ServiceUnavailable, RunError, TeamFileError, ProviderFailed) as error:
        print_note(f"the demo failed: {error}")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print_note("interrupted; everything that the demo started has ended")
        return 130
