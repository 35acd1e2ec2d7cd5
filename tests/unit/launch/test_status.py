"""What the launcher reads out of Serve's reports."""

from __future__ import annotations

import json
import os

import pytest

from deployments.launch.status import NOTHING, Report, Reports, State

TRACEBACK = """\
The deployment failed to start 3 times in a row. See controller logs for details. Error:
ray::ServeReplica:backdrop:m.initialize_and_get_metadata() (pid=1, ip=192.0.2.1)
  File "replica.py", line 1, in initialize
deployments.diffusion.weights.sources.WeightsError: The weights folder /x: y does not exist.
"""


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (TRACEBACK, "The weights folder /x: y does not exist."),
        ("RuntimeError: boom\n\n", "boom"),
        ("Deploying it failed: no room.", "Deploying it failed: no room."),
        ("", "DEPLOY_FAILED"),
        ("x" * 1000, "x" * 400),
    ],
)
def test_a_failure_s_reason_is_its_last_sentence(message, reason):
    assert State("DEPLOY_FAILED", message).reason == reason


@pytest.mark.parametrize(
    ("status", "healthy", "failed"),
    [
        ("HEALTHY", True, False),
        ("UPSCALING", True, False),
        ("DOWNSCALING", True, False),
        ("UPDATING", False, False),
        ("UNHEALTHY", False, True),
        ("DEPLOY_FAILED", False, True),
    ],
)
def test_serve_s_words(status, healthy, failed):
    state = State(status, "")
    assert (state.healthy, state.failed) == (healthy, failed)


def line(status: str) -> str:
    inner = {"m": {"status": status, "message": "why", "replica_states": {}}}
    application = {"status": "RUNNING", "message": "", "deployments": inner}
    return json.dumps({"dashboard": None, "applications": {"a": application}}) + "\n"


def test_the_latest_line_of_the_pipe_counts():
    reports = Reports()
    assert reports.latest == NOTHING
    with os.fdopen(reports.descriptor, "w") as child:
        child.write(line("UPDATING") + line("HEALTHY"))
    reports.join(5)
    expected = Report("", {"a": State("RUNNING", "")}, {("a", "m"): State("HEALTHY", "why")})
    assert reports.latest == expected
    assert 0 <= reports.age_s < 60
