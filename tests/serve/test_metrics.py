"""What dashboard and alerts read is really exported by a running service."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from tests.monitoring import OF_PROMETHEUS, exporter, expressions, selectors
from tests.serve.conftest import Cluster
from tests.serve.test_service import AUTH, LIMITED, limited, png

SELDOM = {
    # What makes these are a full GPU, a dying replica, the safety filter, and receivers.
    "ray_backdrop_engine_out_of_memory_total",
    "ray_backdrop_retries_total",
    "ray_backdrop_images_withheld_total",
    "ray_backdrop_callbacks_total",
}


def exported(text: str) -> dict[str, list[dict[str, str]]]:
    """Labels of the samples that an exporter tells, by name."""
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def work(cluster: Cluster) -> None:
    """Let happen what is to be counted: a kept product, a refusal, a cancel, an unknown model."""
    mask = np.zeros((64, 96), np.uint8)
    mask[16:48, 24:72] = 255
    answer = cluster.client.post(
        "/api/generate",
        data={"prompt": "p", "model": "stable-diffusion", "num_images": "1"},
        files={"image": ("a.png", png()), "product_mask": ("m.png", picture(mask))},
    )
    assert answer.status_code == 200, answer.text
    cluster.client.get(answer.json()["images"][0])
    assert cluster.generate(png(), model="marker-of-a-caller").status_code == 400
    with stream(cluster, "", {}, steps="100", num_images="1") as left:
        next(line for line in left.iter_lines() if line == "event: progress")
    for _ in range(10):  # on a busy machine the one may have ended before the other comes
        with stream(cluster, LIMITED, AUTH, steps="200", num_images="2"):
            if limited(cluster, steps=2).status_code == 429:
                return
    pytest.fail("no request was refused")


def stream(
    cluster: Cluster, prefix: str, headers: dict[str, str], **fields: str
) -> AbstractContextManager[httpx.Response]:
    """Events of a request; leaving it early cancels it."""
    data = {"prompt": "p", "model": "stable-diffusion", "preserve_product": "false", **fields}
    return cluster.client.stream(
        "POST",
        f"{prefix}/api/generate",
        data=data,
        files={"image": ("a.png", png())},
        headers={**headers, "Accept": "text/event-stream"},
    )


def picture(mask: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return buffer.getvalue()


def not_told(found: dict[str, list[dict[str, str]]]) -> set[str]:
    """What `work` let happen and the labels do not tell yet."""
    requests = found.get("ray_backdrop_api_requests_total", [])
    refused = found.get("ray_backdrop_admission_refused_images_total", [])
    told = {labels["model"] for labels in requests} | {labels["code"] for labels in requests}
    told |= {f"{labels['application']} {labels['reason']}" for labels in refused}
    return {"unknown", "ok", "unknown_model", "overloaded", "limited overloaded"} - told


def test_dashboard_and_alerts_read_what_is_exported(cluster: Cluster) -> None:
    work(cluster)
    url = exporter(cluster.pid)
    read = {selector.name for _, text in expressions() for selector in selectors(text)}
    wanted = (read - SELDOM) | {"ray_backdrop_engine_cancel_latency_seconds_bucket"}
    deadline = time.monotonic() + 60
    while missing := (
        wanted - (found := exported(httpx.get(url, timeout=30).text)).keys()
    ) | not_told(found):
        assert time.monotonic() < deadline, missing  # reported every few seconds
        time.sleep(1)
    for name in wanted:
        by = {label for labels in found[name] for label in labels}
        used = {
            m.name
            for _, t in expressions()
            for s in selectors(t)
            if s.name == name
            for m in s.matchers.matchers
        }
        assert used - OF_PROMETHEUS <= by, name
    models = {labels["model"] for labels in found["ray_backdrop_api_requests_total"]}
    assert models <= {"demo", "stable-diffusion", "controlnet", "missing", "none", "unknown"}
    text = httpx.get(url, timeout=30).text
    assert "marker-of-a-caller" not in text
