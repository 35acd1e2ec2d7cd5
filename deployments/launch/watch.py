"""Watches the running service, and says when it is beyond repair.

Serve replaces replicas, proxies and its controller by itself; nobody replaces a node. So the death
of the node ends the launcher at once, and anything else only when it lasts.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import psutil
import urllib3

from deployments.launch.errors import LaunchError
from deployments.launch.plan import Plan
from deployments.launch.processes import VITAL, is_alive, session
from deployments.launch.status import Report, Reports
from deployments.launch.terminal import say

LOOK_S = 1.0
PROXY_INTERVAL_S = 5.0
WORD_S = 5.0
"""Until a trouble is told; shorter ones are not worth a line."""

PATIENCE_S = 180.0
"""For what Serve mends by itself: a proxy takes about 25 s, an ingress a minute when busy."""

SILENCE_S = 120.0
"""For reports that do not come: Serve's controller is away, or the machine is overloaded."""

FRAME = ("ingress", "admission")
"""Deployments without which no request is answered."""


class Watch:
    """Looks at what the launcher started.

    Args:
        plan: What was started.
        child: The first process of it.
        reports: What Serve says.
    """

    def __init__(self, plan: Plan, child: subprocess.Popen[bytes], reports: Reports) -> None:
        self._plan = plan
        self._child = child
        self._reports = reports
        self._vital: dict[str, psutil.Process] = {}
        self._http = urllib3.PoolManager(retries=False, timeout=PROXY_INTERVAL_S)

    def look(self) -> Report:
        """The latest report, once it is sure that the node lives.

        Raises:
            LaunchError: A process has ended that nobody starts again.
        """
        code = self._child.poll()
        if code is not None:
            how = f"exit code {code}" if code >= 0 else f"signal {-code}"
            raise LaunchError(f"the service ended by itself with {how}")
        if len(self._vital) < len(VITAL):
            found = {process.name(): process for process in session(self._child)}
            self._vital |= {name: found[name] for name in VITAL if name in found}
        for name, process in self._vital.items():
            if not is_alive(process):
                raise LaunchError(
                    f"the node is gone: Ray's {name} (process {process.pid}) has ended, and "
                    "nothing runs without it"
                )
        if self._reports.age_s > SILENCE_S and self._reports.latest.applications:
            raise LaunchError(f"Serve has not told how it is for {SILENCE_S:g} s")
        return self._reports.latest

    def stay(self) -> None:
        """Watch until something is beyond repair.

        Raises:
            LaunchError: What it is.
        """
        last_good = next_knock = time.monotonic()
        answers, told = True, False
        healthy = dict.fromkeys(self._models(), True)
        while True:
            time.sleep(LOOK_S)
            report = self.look()
            now = time.monotonic()
            if now >= next_knock:
                next_knock = now + PROXY_INTERVAL_S
                answers = self._proxy_answers()
            trouble = next(self._trouble(report, answers), None)
            if trouble is None:
                if told:
                    say("the service answers again")
                last_good, told = now, False
            elif now - last_good > PATIENCE_S:
                raise LaunchError(f"{trouble}, for {PATIENCE_S:g} s")
            elif now - last_good > WORD_S and not told:
                say(f"{trouble}; Serve tries to mend it")
                told = True
            self._tell_models(report, healthy)

    def _trouble(self, report: Report, answers: bool) -> Iterator[str]:
        """What keeps every request from an answer, the first cause first."""
        for application in self._plan.applications:
            if application.name not in report.applications:
                yield f"the application {application.name} is no longer deployed"
            for name in FRAME:
                state = report.deployments.get((application.name, name))
                if state is not None and state.failed:
                    yield f"{name} of the application {application.name} fails: {state.reason}"
        if not answers:
            yield f"nothing answers at {self._plan.url}"

    def _models(self) -> list[tuple[str, str]]:
        return [
            (application.name, model.id)
            for application in self._plan.applications
            for model in application.args.models
        ]

    def _tell_models(self, report: Report, healthy: dict[tuple[str, str], bool]) -> None:
        """Say what became of a model; the others serve on, so that is no end."""
        for key, was in healthy.items():
            state = report.deployments.get(key)
            if state is None or state.failed != was:
                continue
            healthy[key] = not was
            say(
                f"model {key[1]} does not work: {state.reason}"
                if was
                else f"model {key[1]} works again"
            )

    def _proxy_answers(self) -> bool:
        try:
            return self._http.request("GET", f"{self._plan.url}/-/healthz").status == 200
        except urllib3.exceptions.HTTPError:
            return False
