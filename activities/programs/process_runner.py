"""Runs `python` and `command` programs: a child process for each call."""

import asyncio
import json
import re
import shlex
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path
from typing import Final

from activities.programs.child_environment import named_variables, program_environment
from activities.programs.environments import Environments
from activities.programs.exceptions import ProgramError
from activities.programs.remote_progress import Progress
from activities.programs.runner import ProgramOutput, Scope
from activities.programs.secret_scrubber import SecretScrubber, secrets_of
from activities.programs.staged_modules import StagedModules
from activities.programs.supervised_process import (
    MAX_STDERR_BYTES,
    MAX_STDOUT_BYTES,
    Ended,
    ProgramStart,
    SupervisorLost,
    run_supervised,
)
from activities.programs.supervisor import NOT_STARTED, TIMEOUT
from activities.programs.work_directories import WorkDirectories, WorkDirectory, marker_of
from durable_agent_team.contracts.effects import UnknownEffect
from durable_agent_team.contracts.error_types import ErrorType
from durable_agent_team.contracts.program import ProgramCall
from durable_agent_team.contracts.program_kinds import CommandRun, PythonRun
from durable_agent_team.rules.safe_text import is_blank

HOST: Final = "durable_agent_team.agents.host"
NO_FUNCTION: Final = 78
"""`host` exits with it where `module:function` names nothing."""
MAX_SHOWN: Final = 1_200
"""Characters of standard error in a message."""
MAX_EXCEPTION: Final = 400
"""Characters of an exception before that."""
TRACEBACK: Final = "Traceback (most recent call last):\n"
_MARKS: Final = re.compile(r"^ +[~^]+ *\n", re.MULTILINE)
MAX_REPORT_BYTES: Final = 64 * 1024


class ProcessRunner:
    """`worker` is the worker's environment, of which a program gets what its team file names."""

    def __init__(
        self, directories: WorkDirectories, environments: Environments, worker: Mapping[str, str]
    ) -> None:
        self._directories = directories
        self._environments = environments
        self._worker = worker
        self._modules = StagedModules(directories)

    async def run(
        self, call: ProgramCall, scope: Scope, seconds: float, _: Progress | None = None
    ) -> ProgramOutput:
        """See `Runner`."""
        assert isinstance(call.run, PythonRun | CommandRun)
        until = asyncio.get_running_loop().time() + seconds
        python = sys.executable
        if isinstance(call.run, PythonRun) and call.run.environment is not None:
            python = await self._environments.found(Path(call.run.environment), seconds)
        secrets = secrets_of(named_variables(call.run.variables, self._worker))
        scrubber = SecretScrubber([scope.key.get_secret_value(), *secrets])
        with self._directories.one() as work:
            start = self._start(call, call.run, scope, work, python, until)
            try:
                ended = await run_supervised(start)
            except SupervisorLost:
                raise ProgramError(
                    ErrorType.PROGRAM_FAILED,
                    "the program's supervisor was killed, and the program with it: the machine may"
                    " be out of memory",
                ) from None
            return _output(call, ended, _Told(work, scrubber, scope.attempt, seconds))

    def _start(
        self,
        call: ProgramCall,
        run: PythonRun | CommandRun,
        scope: Scope,
        work: WorkDirectory,
        python: str,
        until: float,
    ) -> ProgramStart:
        modules = [str(self._modules.path()), *([run.directory] if run.directory else [])]
        variables = program_environment(
            scope, call.call.model, run.variables, self._worker, work.home, work.report, modules
        )
        home = str(work.home)
        if isinstance(run, PythonRun):
            command, directory = [python, "-m", HOST, run.python], home
        else:
            command, directory = list(run.command), run.directory or home
        return ProgramStart(
            command=command,
            directory=directory,
            environment=variables,
            stdin=agent_task(call, scope),
            seconds=until - asyncio.get_running_loop().time(),
            marker=marker_of(work.home),
        )


def agent_task(call: ProgramCall, scope: Scope) -> bytes:
    """The JSON object on a program's standard input. The key is never in it."""
    request = call.call
    rejected = request.rejected
    task = {
        "task": request.task,
        "agent": request.account.agent,
        "role": call.role,
        "instructions": call.instructions,
        "ask": request.ask,
        "inputs": [{"name": each.name, "text": each.text} for each in request.sources],
        "missing": list(request.missing),
        "output": request.output,
        "rejected": rejected and {"answer": rejected.answer, "reasons": list(rejected.reasons)},
        "model": {
            "name": request.model,
            "base_url": scope.base_url,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
        },
    }
    return json.dumps(task, ensure_ascii=False).encode("utf-8", "replace")


@dataclass(frozen=True)
class _Told:
    """What is known of one start of a program, besides its end."""

    work: WorkDirectory
    scrubber: SecretScrubber
    attempt: int
    seconds: float


def _output(call: ProgramCall, ended: Ended, told: _Told) -> ProgramOutput:
    """Raises `ProgramError` unless the program ended with an answer."""
    scrubber = told.scrubber
    stderr = _stderr(ended, scrubber)
    effect = _unknown_effect(told)
    if effect is not None:
        raise ProgramError(
            ErrorType.EFFECT_UNKNOWN,
            f"attempt {effect.attempt} began {effect.tool or effect.effect!r} and died in it, so"
            " nobody knows whether it happened",
            stderr=stderr,
            effect=effect,
        )
    kind = ErrorType.PROGRAM_TIMEOUT if ended.why == TIMEOUT else ErrorType.PROGRAM_FAILED
    problem = _problem(ended, told.seconds)
    answer = ""
    if problem is None:
        try:
            answer = scrubber.scrub(ended.stdout.decode("utf-8-sig")).rstrip("\r\n")
        except UnicodeDecodeError as error:
            problem = f"its standard output is not UTF-8 (byte {error.start})"
        if problem is None and is_blank(answer):
            problem = "it ended without an answer on its standard output"
    if problem is None:
        return ProgramOutput(answer, stderr)
    said = _last_lines(stderr)
    why = _exception(stderr) if ended.code > 0 else ""
    name = program_name(call)
    raise ProgramError(
        kind,
        scrubber.scrub_message(f"{name}: {problem}")
        + (f": {why}" if why else "")
        + (f"; standard error:\n{said}" if said else ""),
        stderr=stderr,
        final=ended.why == NOT_STARTED
        or (isinstance(call.run, PythonRun) and ended.code == NO_FUNCTION),
    )


def program_name(call: ProgramCall) -> str:
    """As the team file has it, shortened."""
    if isinstance(call.run, PythonRun):
        return call.run.python
    return shlex.join(call.run.command)[:80] if isinstance(call.run, CommandRun) else ""


def _problem(ended: Ended, seconds: float) -> str | None:
    match ended.why:
        case "not started":
            return f"it could not be started: {ended.reason}"
        case "timeout":
            return f"it had not ended within {seconds:.3g} s, and was killed"
        case "flood":
            return (
                f"it wrote more than {MAX_STDOUT_BYTES // 1024} KB to its standard output, and was"
                " killed: only the answer goes there"
            )
    if ended.code < 0:
        return f"it was killed by {_signal_name(-ended.code)}"
    return f"it ended with exit code {ended.code}" if ended.code else None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _stderr(ended: Ended, scrubber: SecretScrubber) -> str:
    """The last 64 KB, without keys: these are searched for in a little more, since a cut could
    leave half of one."""
    text = scrubber.scrub_message(ended.stderr.decode(errors="replace"))
    if len(ended.stderr) <= MAX_STDERR_BYTES:
        return text
    return text.encode()[-MAX_STDERR_BYTES:].decode(errors="ignore")


def _exception(stderr: str) -> str:
    """The exception that ended a program in Python: what comes after the last traceback's frames.
    A message is cut where it is shown, and it is this that says what to do."""
    _, found, after = stderr.rpartition(TRACEBACK)
    lines = after.splitlines() if found else []
    text = "\n".join(dropwhile(lambda line: not line or line.startswith(" "), lines)).strip()
    return text if len(text) <= MAX_EXCEPTION else f"{text[:MAX_EXCEPTION]}…"


def _last_lines(stderr: str) -> str:
    """The end of standard error, from the beginning of a line, without the lines that only mark a
    place in the one above."""
    text = _MARKS.sub("", stderr).strip()
    if len(text) <= MAX_SHOWN:
        return text
    return "…" + text[-MAX_SHOWN:].partition("\n")[2]


def _unknown_effect(told: _Told) -> UnknownEffect | None:
    """What `durable_agent_team.agents.once` has reported, whatever the program did with its
    exception. Without an attempt, a tool of this one has said it of itself."""
    try:
        with told.work.report.open("rb") as file:
            report = json.loads(file.read(MAX_REPORT_BYTES))
        known = report["effect_unknown"]
        return UnknownEffect(
            effect=told.scrubber.scrub(str(known["effect"]))[:300],
            tool=told.scrubber.scrub(str(known.get("tool", "")))[:200],
            attempt=int(known.get("attempt") or told.attempt),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
