"""Four images of the sample photo, asked for over HTTP as any client would."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import count
from typing import Any

import urllib3

from deployments.ingress.http.api_keys import a_secret
from deployments.launch.plan import Plan
from deployments.launch.service_log import OWN_IDS
from deployments.launch.terminal import Reminder, say
from deployments.launch.watch import Watch

PROMPT = "Tropical beach"  # what the demo weights draw best
LOOK_S = 0.3
FIRST_WORD_S = 30.0
ROUTE_TIMEOUT_S = 60.0
MARGIN_S = 30.0
"""Over the service's deadline, after which it answers in any case."""


@dataclass(slots=True)
class Sample:
    """What became of the sample request.

    Attributes:
        images: URLs of its images.
        problem: Why there are none.
    """

    images: list[str] = field(default_factory=list)
    problem: str = ""


def make_sample(plan: Plan, watch: Watch, model: str) -> Sample:
    """Ask for four images and watch the service meanwhile.

    That they do not come, or not in time, is told and is no reason to end: the service may still do
    what is asked of it.

    Args:
        plan: What was started.
        watch: Sees it end.
        model: The model to ask.

    Raises:
        LaunchError: The service has ended.
    """
    sample = Sample()
    thread = threading.Thread(target=_ask, args=(plan, model, sample), daemon=True)
    say(f"making four images of the sample photo with {model}: {PROMPT!r}")
    thread.start()
    reminder = Reminder(FIRST_WORD_S)
    while thread.is_alive():
        watch.look()
        thread.join(LOOK_S)
        if reminder.is_due():
            say(f"still making them ({reminder.waited_s:.0f} s); {plan.root} answers already")
    return sample


def _ask(plan: Plan, model: str, sample: Sample) -> None:
    http = urllib3.PoolManager(retries=False, timeout=plan.first.args.ingress.deadline_s + MARGIN_S)
    headers = _headers(plan.first.full_environment)
    try:
        status = _wait_for_route(http, plan, headers)
        if status == 401:
            sample.problem = "no images of the sample photo: no key is told in plain"
            return
        photo = files("deployments") / "samples" / "coffee.png"
        answer = http.request(
            "POST",
            f"{plan.root}/api/generate",
            fields={
                "image": (photo.name, photo.read_bytes(), "image/png"),
                "prompt": PROMPT,
                "model": model,
                "num_images": "4",
                "seed": "1",
            },
            headers=next(headers),
        )
    except urllib3.exceptions.TimeoutError:
        sample.problem = "the sample request had no answer in time; the service goes on"
        return
    except urllib3.exceptions.HTTPError as error:
        sample.problem = f"the sample request got no answer: {error}"
        return
    body = _json(answer)
    if answer.status == 200:
        sample.images = list(body["images"])
    else:
        problem = body.get("error", f"status {answer.status}")
        sample.problem = f"model {model!r} made no images of the sample photo: {problem}"


def _wait_for_route(
    http: urllib3.PoolManager, plan: Plan, headers: Iterator[dict[str, str]]
) -> int:
    """Wait until the proxy knows the way to the ingress, which it learns a little later."""
    deadline = time.monotonic() + ROUTE_TIMEOUT_S
    while True:
        status = http.request("GET", f"{plan.root}/api/models", headers=next(headers)).status
        if status in (200, 401) or time.monotonic() > deadline:
            return status
        time.sleep(LOOK_S)


def _headers(environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Headers for one request after another: an id of its own, and a key where one is told."""
    secret = a_secret(environment)
    key = {} if secret is None else {"X-API-Key": secret}
    return ({"X-Request-Id": f"{OWN_IDS}-{number}", **key} for number in count())


def _json(answer: urllib3.BaseHTTPResponse) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
