"""Starts and stops the processes of the local stack in order."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from durable_agent_team.client.connection import (
    ServiceUnavailable,
    connect,
    ensure_search_attributes,
)
from durable_agent_team.local_stack.child_process import Child, end_leftovers
from durable_agent_team.local_stack.disk_space import little_room
from durable_agent_team.local_stack.gateway_check import DefaultModelRefused, report_models
from durable_agent_team.local_stack.misspelt_settings import misspelt_settings
from durable_agent_team.local_stack.stack_plan import StackPlan, StackSettings, make_plan
from durable_agent_team.process.settings import ClientSettings, SettingsError, env_file_names
from durable_agent_team.process.stack_state import (
    STATE,
    StackInfo,
    read_state,
    this_process,
    write_state,
)

READY_SECONDS = 90.0
PORT_SECONDS = 10.0
Say = Callable[[str], None]


class StackFailed(Exception):
    """A part did not start; the message contains the end of its log."""

    def __init__(self, text: str, *, wrong_setting: bool = False) -> None:
        super().__init__(text)
        self.wrong_setting = wrong_setting


class Stack:
    """The three processes of one plan."""

    def __init__(self, settings: StackSettings, folder: Path, say: Say) -> None:
        self._settings = settings
        self._folder = folder
        self._say = say
        self._children: dict[str, Child] = {}
        self._ready = False
        self._plan: StackPlan | None = None

    async def start(self) -> StackInfo:
        """Starts Temporal and the gateway, then the worker; returns when all of them are ready."""
        left = read_state(self._folder)
        ended = end_leftovers(left.processes) if left else []
        if ended:
            self._say(f"ended what a killed stack had left running: {', '.join(ended)}")
        plan = self._plan = await self._make_plan(PORT_SECONDS if ended else 0)
        if warning := little_room(self._folder):
            self._say(warning)
        for warning in misspelt_settings(env_file_names()):
            self._say(warning)
        try:
            async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as group:
                group.create_task(self._temporal_ready(plan))
                group.create_task(self._gateway_ready(plan))
            await self._report_models(plan)
            # Last: a run that continues would use up its attempts on a loading gateway.
            async with asyncio.timeout(READY_SECONDS):
                await self._worker_ready(plan)
        except TimeoutError as error:
            raise StackFailed(
                f"not ready after {READY_SECONDS:g} s; logs: {plan.folder}/logs"
            ) from error
        except ExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        self._ready = True
        self._save()
        return self._info()

    async def _make_plan(self, patience: float) -> StackPlan:
        """Retries for `patience` seconds: a killed process may hold its ports a moment longer."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return make_plan(self._settings)
            except SettingsError:
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(0.1)

    async def stop(self, *, at_once: bool = False) -> None:
        """Stops the worker first, so that it sends no requests to a stopped gateway.

        When cancelled, by a second Ctrl-C, it kills everything before it raises.
        """
        try:
            for name in ("worker", "gateway", "temporal"):
                if child := self._children.get(name):
                    await child.stop(at_once=at_once)
        except asyncio.CancelledError:
            for child in self._children.values():
                await child.stop(at_once=True)
            raise
        finally:
            (self._folder / STATE).unlink(missing_ok=True)

    def _info(self) -> StackInfo:
        assert self._plan is not None
        return StackInfo(
            folder=self._folder,
            temporal_address=self._plan.temporal_address,
            ui_url=self._plan.ui_url,
            gateway_url=self._plan.gateway_url,
            supervisor=this_process(),
            ready=self._ready,
            processes={name: child.started for name, child in self._children.items()},
        )

    async def _spawn(self, plan: StackPlan, name: str) -> Child:
        part = next(part for part in plan.parts if part.name == name)
        child = Child(part, self._folder / "logs", self._say)
        child.changed = self._save
        self._children[name] = child
        await child.start()
        return child

    def _save(self) -> None:
        """Once the stack is up, a full disk must not keep a part from being watched."""
        try:
            write_state(self._info())
        except OSError as error:
            if not self._ready:
                raise
            self._say(f"warning: {self._folder / STATE} cannot be written ({error.strerror})")

    async def _temporal_ready(self, plan: StackPlan) -> None:
        settings = ClientSettings(
            temporal_address=plan.temporal_address, temporal_namespace="default"
        )
        await self._spawn(plan, "temporal")
        while True:
            self._check("temporal")
            try:
                await ensure_search_attributes(await connect(settings))
                break
            except ServiceUnavailable:
                await asyncio.sleep(0.1)
        self._say(f"temporal ready on {plan.temporal_address}, UI: {plan.ui_url}")

    async def _gateway_ready(self, plan: StackPlan) -> None:
        await self._spawn(plan, "gateway")
        async with httpx.AsyncClient(timeout=2, trust_env=False) as http:
            while True:
                self._check("gateway")
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.get(f"{plan.gateway_url}/healthz")).status_code == 200:
                        break
                await asyncio.sleep(0.1)
        self._say(f"gateway ready on {plan.gateway_url}")

    async def _report_models(self, plan: StackPlan) -> None:
        gateway = next(part for part in plan.parts if part.name == "gateway")
        key = gateway.env["GATEWAY_PARENT_KEY"]
        try:
            await report_models(plan.gateway_url, key, plan.default_model, self._say)
        except DefaultModelRefused as error:
            raise StackFailed(str(error), wrong_setting=True) from None

    async def _worker_ready(self, plan: StackPlan) -> None:
        child = await self._spawn(plan, "worker")
        while not child.has_written("worker ready"):
            self._check("worker")
            await asyncio.sleep(0.05)
        self._say(f"worker ready, pid {child.started.pid}")

    def _check(self, name: str) -> None:
        """Raises `StackFailed` with the end of the log if a part keeps exiting."""
        child = self._children[name]
        if child.exit_code == 2 or child.restarts > 2:
            text = f"{name} does not come up; the end of {child.log}:\n{child.tail()}"
            raise StackFailed(text, wrong_setting=child.exit_code == 2)
