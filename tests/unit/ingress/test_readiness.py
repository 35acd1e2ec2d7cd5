"""When the log says that the application is ready."""

from __future__ import annotations

import pytest

from deployments.ingress.remote.readiness import readiness

URL = "http://127.0.0.1:8000/"


@pytest.mark.parametrize(
    ("first", "second", "line"),
    [
        ("HEALTHY", "HEALTHY", f"ready on {URL} with a, b"),
        ("HEALTHY", "UPSCALING", f"ready on {URL} with a, b"),
        ("HEALTHY", "UPDATING", None),
        ("UNHEALTHY", "HEALTHY", None),
        ("DEPLOY_FAILED", "HEALTHY", f"ready on {URL} with b; these cannot start: a"),
        ("DEPLOY_FAILED", "DEPLOY_FAILED", f"no model works on {URL}"),
    ],
)
def test_it_is_said_once_every_model_works_or_has_failed(first, second, line):
    assert readiness(URL, ["a", "b"], {"ingress": "HEALTHY", "a": first, "b": second}) == line


def test_a_model_that_serve_does_not_know_yet_is_waited_for():
    assert readiness(URL, ["a"], {"ingress": "HEALTHY"}) is None
