"""Rates of single keys, and what keys use, over real handles, a real store and Ray's metrics."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import httpx

from storage.minio_store import MinioStore
from storage.settings import MinioSettings
from storage.usage import usage_of
from tests.monitoring import exporter
from tests.serve.conftest import HURRIED, Cluster
from tests.serve.test_metrics import exported
from tests.serve.test_service import AUTH, LIMITED, png, problem


def plain(cluster: Cluster, headers: dict[str, str]) -> httpx.Response:
    """A picture that no model paints."""
    return cluster.client.post(
        f"{LIMITED}/api/generate",
        data={"background": "#FFFFFF", "num_images": "1"},
        files={"image": ("a.png", png())},
        headers=headers,
    )


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.5)


def test_a_key_of_the_file_has_the_rate_that_its_line_says_now(cluster: Cluster) -> None:
    hurried = {"X-API-Key": HURRIED}
    first = plain(cluster, hurried)
    # A busy machine may let it pass its deadline.
    assert first.status_code != 429
    assert first.headers["ratelimit-policy"] == '"requests";q=1;w=60'
    second = plain(cluster, hurried)
    assert "the limit of key 'hurried' is 1" in problem(second, 429, "rate_limited")
    assert 1 <= int(second.headers["retry-after"]) <= 60
    assert "ratelimit-policy" not in plain(cluster, AUTH).headers
    cluster.keys.write_text(f"hurried:{HURRIED} requests_per_minute=none\n")
    third = plain(cluster, hurried)
    assert (third.status_code != 429, "ratelimit-policy" in third.headers) == (True, False)


def test_what_keys_use_is_written_down_and_exported(cluster: Cluster) -> None:
    hurried = {"X-API-Key": HURRIED}
    plain(cluster, AUTH)
    plain(cluster, hurried)
    settings = MinioSettings(
        endpoint=cluster.s3.endpoint, bucket="limited", secure=False, create_bucket=False
    )
    store = MinioStore(settings, cluster.s3.admin)

    def used(name: str) -> Counter[str]:
        return sum((keys.get(name, Counter()) for _, keys in usage_of(store)), Counter())

    until(lambda: used("test")["requests"] and used("hurried")["requests"])
    metric = "ray_backdrop_key_requests_total"
    text = ""

    def told() -> set[str]:
        nonlocal text
        with suppress(RuntimeError, httpx.HTTPError):  # it answers late on a busy machine
            text = httpx.get(exporter(cluster.pid), timeout=30).text
        samples = exported(text).get(metric, [])
        return {labels["api_key_name"] for labels in samples}

    until(lambda: told() >= {"test", "(other keys)"})
    assert "hurried" not in text
