"""The `backdrop` command: read the configuration, start, show what there is, stay."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import yaml

from deployments import batch
from deployments.config import ConfigError
from deployments.launch.errors import LaunchError
from deployments.launch.plan import (
    USUAL_NAME,
    Plan,
    check_port,
    find_config,
    make_plan,
    obstacles,
    who_may_call,
)
from deployments.launch.processes import serve_run
from deployments.launch.sample import Sample, make_sample
from deployments.launch.service_log import ServiceLog
from deployments.launch.startup import wait_for_models
from deployments.launch.status import Reports
from deployments.launch.terminal import say
from deployments.launch.watch import Watch

LOG_TIMEOUT_S = 2.0


class _Stopped(BaseException):
    """A signal asked for the end."""


def main() -> None:
    """Entry point of the `backdrop` command; it exits with 1 after one sentence that says why."""
    options = _options()
    # What the checks log is for a replica's log; the launcher has sentences of its own.
    logging.getLogger("deployments").addHandler(logging.NullHandler())
    try:
        if options.command == "check":
            _check(find_config(options.file))
            return
        if options.command == "batch":
            sys.exit(batch.run(options))
        signal.signal(signal.SIGTERM, _stop)
        # Set even where the shell ignores it for background jobs, so that the child gets the
        # default.
        signal.signal(signal.SIGINT, _stop)
        _serve(make_plan(find_config(options.config), options.port), options.log)
    except (LaunchError, ConfigError) as error:
        sys.exit(f"backdrop: {error}")
    except _Stopped:
        say("stopped")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="backdrop",
        description="Start the service, make four images of a sample photo, and stay up.",
    )
    usual = f"default: {USUAL_NAME} of this folder, or else the one in the package"
    parser.add_argument("--config", type=Path, metavar="FILE", help=f"the configuration ({usual})")
    parser.add_argument("--port", type=int, help="takes the place of the configuration's")
    parser.add_argument(
        "--log", type=Path, metavar="FILE", help="for all that is not shown (backdrop-PORT.log)"
    )
    commands = parser.add_subparsers(dest="command", title="commands", metavar="")
    check = commands.add_parser(
        "check",
        help="say what is wrong with a configuration; start and download nothing",
        description="Say what is wrong with a configuration; start and download nothing.",
    )
    check.add_argument("file", type=Path, nargs="?", help=usual)
    many = "make images of many photos with a service that runs; start it again to go on"
    batch.add_options(commands.add_parser("batch", help=many, description=f"{many.capitalize()}."))
    return parser.parse_args()


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Stopped


def _check(file: Path) -> None:
    plan = make_plan(file)
    models = [model.id for application in plan.applications for model in application.args.models]
    wrong = []
    for obstacle in obstacles(plan):
        if obstacle.missing:
            say(f"{file}: on this machine it would not start: {obstacle.sentence}")
        else:
            wrong.append(f"{file}: {obstacle.sentence}")
    if wrong:
        raise LaunchError("\n".join(wrong))
    say(f"{file}: the configuration is in order; its models are {', '.join(models)}")


def _serve(plan: Plan, log_file: Path | None) -> None:
    if wrong := list(obstacles(plan)):
        raise LaunchError("\n".join(f"{plan.file}: {each.sentence}" for each in wrong))
    check_port(plan)
    log = ServiceLog(log_file or Path(f"backdrop-{plan.port}.log"))
    say(f"starting on {plan.url} with {plan.file}; all that is not shown goes to {log.path}")
    if (sentence := who_may_call(plan)) is not None:
        say(sentence)
    with _running(plan, log) as watch:
        ready = wait_for_models(plan, watch)
        sample = make_sample(plan, watch, ready[0])
        _show(plan, watch, sample)
        log.show_requests()
        watch.stay()


@contextmanager
def _running(plan: Plan, log: ServiceLog) -> Iterator[Watch]:
    """The service and its watch; a failure shows the end of the log once all has ended."""
    reading, writing = os.pipe()
    reports = Reports()
    try:
        with tempfile.TemporaryDirectory(prefix="backdrop-") as folder:
            effective = Path(folder) / plan.file.name
            effective.write_text(yaml.safe_dump(plan.document), encoding="utf-8")
            with serve_run(effective, output=writing, reports=reports.descriptor) as child:
                os.close(writing)
                reports.close_writing()
                follower = log.follow(os.fdopen(reading, "rb"))
                try:
                    yield Watch(plan, child, reports)
                finally:
                    say("stopping")
        follower.join(LOG_TIMEOUT_S)
    except LaunchError:
        follower.join(LOG_TIMEOUT_S)
        print("\n".join(["", *log.end(), ""]), file=sys.stderr, flush=True)
        say(f"these were the last lines of {log.path}")
        raise
    finally:
        log.close()


def _show(plan: Plan, watch: Watch, sample: Sample) -> None:
    """What a person wants to open, all in one place."""
    if sample.problem:
        say(sample.problem)
    up = f"up on {plan.root}, Ctrl-C ends it"
    if sample.images:
        store = plan.first.args.storage.store
        where = (
            f", in {Path(store.path).resolve() / 'generated'}" if store.kind == "filesystem" else ""
        )
        say(f"{up}; the four images{where}:")
        for url in sample.images:
            print(f"  {url}", flush=True)
    else:
        say(up)
    pages = [f"chat page {plan.root}/"] if plan.first.args.ingress.playground else []
    pages.append(f"API docs {plan.root}/docs")
    if dashboard := watch.look().dashboard:
        pages.append(f"Ray's dashboard http://{dashboard}")
    say(", ".join(pages))
