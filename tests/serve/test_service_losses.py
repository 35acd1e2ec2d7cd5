"""The whole service while parts of it, or its callers, go away."""

from __future__ import annotations

import json

import httpx
import numpy as np

from tests.serve.test_service import AUTH, LIMITED, limited, pixels, png, problem


def test_503_while_the_bucket_is_away_and_service_when_it_is_back(cluster):
    before = limited(cluster, steps=2).json()["images"][0]
    cluster.s3.stop()
    try:
        problem(cluster.client.get(before), 503, "unavailable")
    finally:
        cluster.s3.start()
    assert cluster.client.get(before).status_code == 200
    assert limited(cluster, steps=2).status_code == 200


def test_a_replica_that_dies_is_replaced_and_its_image_made_again(cluster):
    reference = pixels(
        cluster, cluster.generate(png(), num_images=1, seed=3, steps=100).json()["images"][0]
    )
    (replica,) = cluster.replicas("main:stable-diffusion")
    with cluster.client.stream(
        "POST",
        "/api/generate",
        data={
            "prompt": "Perfume backdrop",
            "model": "stable-diffusion",
            "num_images": "1",
            "seed": "3",
            "steps": "100",
            "preserve_product": "false",
        },
        files={"image": ("a.png", png())},
        headers={"Accept": "text/event-stream"},
    ) as answer:
        lines = answer.iter_lines()
        next(line for line in lines if line == "event: progress")
        replica.kill()
        done = [json.loads(line[6:]) for line in lines if line.startswith("data: ")][-1]
    assert np.array_equal(pixels(cluster, done["images"][0]), reference)


def test_a_disconnect_frees_its_places(cluster):
    left = 0
    while left < 4:  # more than fit at once, if they stayed
        try:
            answer = httpx.post(
                f"{cluster.url}{LIMITED}/api/generate",
                data={
                    "prompt": "p",
                    "model": "stable-diffusion",
                    "steps": "200",
                    "num_images": 1,
                    "preserve_product": "false",
                },
                files={"image": ("a.png", png())},
                headers=AUTH,
                timeout=httpx.Timeout(30, read=0.3),
            )
        except httpx.ReadTimeout:
            left += 1
        else:
            # The one before it may still be on its way out.
            assert answer.status_code == 429, answer.text
    answer = limited(cluster, steps=2)
    while answer.status_code == 429:
        answer = limited(cluster, steps=2)
    assert answer.status_code == 200
