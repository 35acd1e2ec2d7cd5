"""The time until every model is ready or has failed: as long as it takes, and told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from deployments.diffusion.weights.sources import hub_names
from deployments.launch.errors import LaunchError
from deployments.launch.plan import Application, Plan
from deployments.launch.status import Report, State
from deployments.launch.terminal import Reminder, say
from deployments.launch.watch import Watch
from deployments.settings import ModelSettings

LOOK_S = 0.3
FIRST_WORD_S = 30.0
FAILED = "DEPLOY_FAILED"


def wait_for_models(plan: Plan, watch: Watch) -> list[str]:
    """Wait until each model is ready or has failed, and tell of each.

    There is no time limit: a first start downloads gigabytes.

    Returns:
        The first application's models that are ready.

    Raises:
        LaunchError: The node is gone, a deployment of the frame cannot start, or no model can.
    """
    reminder = Reminder(FIRST_WORD_S)
    pending = [(each, model) for each in plan.applications for model in each.args.models]
    ready: list[str] = []
    while True:
        report = watch.look()
        for application, model in list(pending):
            state = report.deployments.get((application.name, model.id))
            if state is None or not (state.healthy or state.status == FAILED):
                continue
            pending.remove((application, model))
            if state.healthy:
                say(f"model {model.id} is ready ({reminder.waited_s:.0f} s)")
            else:
                say(f"model {model.id} cannot start: {state.reason}")
            if state.healthy and application == plan.first:
                ready.append(model.id)
        if _frame_is_up(plan, report) and not pending:
            break
        if reminder.is_due():
            say(_progress([model for _, model in pending], reminder.waited_s))
        time.sleep(LOOK_S)
    if not ready:
        raise LaunchError("no model can start")
    return ready


def _frame_is_up(plan: Plan, report: Report) -> bool:
    """Whether all but the models is up.

    Raises:
        LaunchError: A part of it cannot be.
    """
    for application in plan.applications:
        for name, state in _parts(application, report):
            if state is not None and state.status == FAILED:
                raise LaunchError(f"{name} cannot start: {state.reason}")
    return all(
        state is not None and state.healthy
        for application in plan.applications
        for _, state in list(_parts(application, report))[1:]
    )


def _parts(application: Application, report: Report) -> Iterator[tuple[str, State | None]]:
    """The application itself, as far as it could not be built, and its deployments but models."""
    state = report.applications.get(application.name)
    built = any(name == application.name for name, _ in report.deployments)
    yield f"the application {application.name}", None if built else state
    for name in sorted(application.args.frame):
        yield name, report.deployments.get((application.name, name))


def _progress(models: list[ModelSettings], waited_s: float) -> str:
    """A word about the models that are still loading."""
    names = list(dict.fromkeys(name for model in models for name in hub_names(model)))
    loading = ", ".join(model.id for model in models) or "the other deployments"
    told = f"still loading {loading} ({waited_s:.0f} s)"
    return (
        f"{told}; {_hub_bytes(names) / 1e6:,.0f} MB of {', '.join(names)} are here"
        if names
        else told
    )


def _hub_bytes(names: list[str]) -> int:
    """Bytes of repositories of the Hub that are in this machine's cache, whole or in part."""
    from huggingface_hub.constants import HF_HUB_CACHE

    total = 0
    for name in names:
        folder = Path(HF_HUB_CACHE) / f"models--{name.replace('/', '--')}" / "blobs"
        for file in folder.glob("*"):
            # One that is finished meanwhile has another name.
            with suppress(OSError):
                total += file.stat().st_size
    return total
