"""Admission, deadlines and idempotency over HTTP, with two replicas of the ingress."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import httpx
import pytest

from tests.serve.conftest import Cluster
from tests.serve.test_service import AUTH, LIMITED, png, problem

LONG = {"steps": "200", "strength": "1"}
"""More than the application's deadline of 4 s."""


def generate(
    cluster: Cluster, prefix: str, headers: dict[str, str] | None = None, **fields: object
) -> httpx.Response:
    data = {
        "prompt": "p",
        "model": "stable-diffusion",
        "num_images": "1",
        "steps": "2",
        "preserve_product": "false",
    }
    data.update({name: str(value) for name, value in fields.items()})
    # A connection of its own, so that any replica may get it.
    return httpx.post(
        f"{cluster.url}{prefix}/api/generate",
        data=data,
        files={"image": ("a.png", png())},
        headers={**AUTH, **(headers or {})},
        timeout=120,
    )


def limited(
    cluster: Cluster, headers: dict[str, str] | None = None, **fields: object
) -> httpx.Response:
    return generate(cluster, LIMITED, headers, **fields)


def places_come_back(cluster: Cluster) -> None:
    """A request for all places is let in before long."""
    end = time.monotonic() + 60
    while limited(cluster, num_images=2).status_code == 429:
        assert time.monotonic() < end
        time.sleep(0.2)


def busy_stream(cluster: Cluster) -> AbstractContextManager[httpx.Response]:
    """A request for half of the main application's places, which takes long."""
    data = {"prompt": "p", "model": "stable-diffusion", "num_images": 8, "steps": 100}
    return httpx.stream(
        "POST",
        f"{cluster.url}/api/generate",
        data={**data, "strength": 1, "preserve_product": "false"},
        files={"image": ("a.png", png())},
        headers={"Accept": "text/event-stream"},
        timeout=120,
    )


def test_the_bound_is_that_of_both_replicas(cluster):
    assert len(cluster.replicas("main:ingress")) == 2
    with ThreadPoolExecutor(6) as pool:
        # What is slow for the first time must not outlast the streams.
        first = list(pool.map(lambda _: generate(cluster, ""), range(6)))
        assert [answer.status_code for answer in first] == [200] * 6
        with busy_stream(cluster) as one, busy_stream(cluster) as two:
            assert (one.status_code, two.status_code) == (200, 200)
            answers = list(pool.map(lambda _: generate(cluster, ""), range(6)))
    for answer in answers:
        problem(answer, 429, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
    # Who leaves gives the places back.
    end = time.monotonic() + 60
    while generate(cluster, "", num_images=8).status_code == 429:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_repeated_request_gets_the_same_answer_from_any_replica(cluster):
    key = {"Idempotency-Key": f"order-{time.time_ns()}"}
    with ThreadPoolExecutor(4) as pool:
        together = [pool.submit(generate, cluster, "", key) for _ in range(4)]
        answers = [answer.result() for answer in together]
    answers += [generate(cluster, "", key) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    conflict = generate(cluster, "", key, prompt="another")
    problem(conflict, 409, "idempotency_conflict")


def test_the_replica_of_the_admission_may_die(cluster):
    key = {"Idempotency-Key": f"order-{time.time_ns()}"}
    first = generate(cluster, "", key)
    (replica,) = cluster.replicas("main:admission")
    replica.kill()
    replica.wait(30)
    # Callers wait for its return, as long as that does not take too long.
    end = time.monotonic() + 120
    while (answer := generate(cluster, "", key)).status_code == 503:
        assert time.monotonic() < end, answer.text
    assert answer.text == first.text
    assert generate(cluster, "").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"x-request-timeout-seconds": "60"},
        {"x-request-disconnect-disabled": "?1"},
        {"X-Deadline-Seconds": "60"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_no_header_lengthens_the_deadline(cluster, headers):
    answer = limited(cluster, headers, num_images=2, **LONG)
    assert "within 4 s" in problem(answer, 504, "deadline_exceeded")
    places_come_back(cluster)


def test_the_timeout_of_serve_ends_the_work_too(cluster):
    answer = limited(cluster, {"x-request-timeout-seconds": "1"}, num_images=2, **LONG)
    assert answer.status_code in (408, 504)
    places_come_back(cluster)


def test_work_that_nobody_waits_for_ends_at_its_deadline(cluster):
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{cluster.url}{LIMITED}/api/generate",
            data={"prompt": "p", "model": "stable-diffusion", "num_images": 2, **LONG},
            files={"image": ("a.png", png())},
            headers={**AUTH, "x-request-disconnect-disabled": "?1"},
            timeout=httpx.Timeout(30, read=0.5),
        )
    places_come_back(cluster)
