"""The whole service over HTTP: the contract, and what happens when parts fail."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from deployments.studio.fitting import working_size
from tests.serve.conftest import KEY, Cluster, settled

LIMITED = "/limited"
AUTH = {"X-API-Key": KEY}


def png(size: tuple[int, int] = (96, 64), seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pixels(cluster: Cluster, url: str) -> np.ndarray:
    answer = cluster.client.get(url)
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(BytesIO(answer.content)))


def problem(answer: httpx.Response, status: int, code: str) -> str:
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert set(body) == {"error", "code", "request_id"}
    assert body["request_id"] == answer.headers["x-request-id"]
    for leak in ("Traceback", "/home", "/tmp", "site-packages", "pid", "127.0.0.1", ".py"):
        assert leak not in answer.text
    return body["error"]


@pytest.mark.parametrize("model", ["stable-diffusion", "controlnet"])
def test_four_variations_of_a_photo(cluster, model):
    answer = cluster.generate(png(), model=model, seed=11)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["model_used"] == model
    assert body["seeds"] == [11, 12, 13, 14]
    images = [pixels(cluster, url) for url in body["images"]]
    width, height = working_size(96, 64, 64)
    assert all(image.shape == (height, width, 3) for image in images)
    assert all(not np.array_equal(images[0], image) for image in images[1:])


def test_a_seed_gives_the_same_image_whatever_runs_beside_it(cluster):
    alone = cluster.generate(png(), seed=5, num_images=1).json()["images"][0]
    with ThreadPoolExecutor(4) as pool:
        crowd = [
            pool.submit(cluster.generate, png(seed=n), seed=n, num_images=2, guidance_scale=n + 1)
            for n in range(4)
        ]
        beside = cluster.generate(png(), seed=5, num_images=1).json()["images"][0]
        assert all(answer.result().status_code == 200 for answer in crowd)
    difference = pixels(cluster, alone).astype(int) - pixels(cluster, beside)
    assert abs(difference).max() <= 1  # float32 sums of another batch size round differently


def test_a_one_pixel_photo_gives_its_images(cluster):
    answer = cluster.generate(png((1, 1)), num_images=1)
    assert pixels(cluster, answer.json()["images"][0]).shape == (64, 64, 3)


def test_models_are_listed_even_those_that_cannot_load(cluster):
    def models():
        return cluster.client.get("/api/models").json()["models"]

    ids = ["demo", "stable-diffusion", "controlnet", "missing"]
    assert [model["id"] for model in models()] == ids
    # Serve has no replica of what cannot load.
    loaded = [True, True, True, False]
    assert settled(lambda: [model["available"] for model in models()], loaded) == loaded
    assert [model["demo"] for model in models()] == [True, False, False, False]


def test_the_service_is_ready_with_its_default_model(cluster):
    ready = {"ready": True}
    assert settled(lambda: cluster.client.get("/api/ready").json(), ready) == ready
    # Without the key that all else of this application asks for.
    assert cluster.client.get(f"{LIMITED}/api/ready").status_code == 200


def test_variation_of_a_result(cluster):
    first = cluster.generate(png(), num_images=1, seed=1).json()["images"][0]
    body = {"image_url": first, "prompt": "forest", "model": "controlnet", "num_images": 2}
    answer = cluster.client.post("/api/variation", json=body)
    assert answer.status_code == 200, answer.text
    assert len({*answer.json()["images"], first}) == 3


def test_events_stream_while_the_images_are_made(cluster):
    data = {"prompt": "p", "model": "stable-diffusion", "num_images": "2", "steps": "10"}
    data["preserve_product"] = "false"
    with cluster.client.stream(
        "POST",
        "/api/generate",
        data=data,
        files={"image": ("a.png", png())},
        headers={"Accept": "text/event-stream"},
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        names, done = [], None
        for line in answer.iter_lines():
            if line.startswith("event: "):
                names.append(line.removeprefix("event: "))
            elif line.startswith("data: "):
                done = json.loads(line.removeprefix("data: "))
    assert names.count("progress") == 2 * 8
    assert names.count("image") == 2
    assert names[-1] == "done"
    assert len(done["images"]) == 2


def test_result_headers_and_conditional_get(cluster):
    url = cluster.generate(png(), num_images=1).json()["images"][0]
    full = cluster.client.get(url)
    assert full.headers["content-type"] == "image/png"
    assert full.headers["x-content-type-options"] == "nosniff"
    assert int(full.headers["content-length"]) == len(full.content)
    again = cluster.client.get(url, headers={"If-None-Match": full.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_jpeg_its_smaller_copy_and_their_removal(cluster):
    body = cluster.generate(png((320, 192)), num_images=1, output_format="jpeg").json()
    (url,), (detail,) = body["images"], body["details"]
    image = Image.open(BytesIO(cluster.client.get(url).content))
    assert (image.format, image.size) == ("JPEG", (detail["width"], detail["height"]))
    with ThreadPoolExecutor(4) as pool:
        tiles = list(pool.map(lambda _: cluster.client.get(f"{url}?width=128"), range(4)))
    assert len({tile.content for tile in tiles}) == 1
    assert Image.open(BytesIO(tiles[0].content)).format == "WEBP"
    assert problem(cluster.client.get(f"{url}?width=99"), 400, "invalid_request")
    assert cluster.client.delete(url).status_code == 204
    for gone in (url, f"{url}?width=128"):
        problem(cluster.client.get(gone), 404, "not_found")


def test_400(cluster):
    problem(cluster.generate(png(), num_images=99), 400, "invalid_request")
    problem(cluster.generate(png(), model="dall-e"), 400, "unknown_model")
    problem(cluster.generate(b"not an image"), 400, "invalid_image")
    problem(cluster.generate(png(), colour="red"), 400, "invalid_request")
    body = {"image_url": "http://evil.example/x.png", "prompt": "p", "model": "controlnet"}
    problem(cluster.client.post("/api/variation", json=body), 400, "foreign_image_url")


def test_401(cluster):
    problem(cluster.client.get(f"{LIMITED}/api/models"), 401, "unauthorized")
    problem(cluster.generate(png(), prefix=LIMITED), 401, "unauthorized")
    answer = cluster.client.get(f"{LIMITED}/api/models", headers=AUTH)
    assert answer.status_code == 200


def test_404_and_405(cluster):
    problem(cluster.client.get(f"/generated/{'0' * 32}.png"), 404, "not_found")
    problem(cluster.client.get("/nothing"), 404, "not_found")
    problem(cluster.client.get("/api/generate"), 405, "method_not_allowed")
    body = {"image_url": f"/generated/{'0' * 32}.png", "prompt": "p", "model": "controlnet"}
    problem(cluster.client.post("/api/variation", json=body), 404, "not_found")


def test_a_missing_image_leaves_one_line_in_the_logs(cluster):
    logs = {
        Path(file.path)
        for name in ("main:ingress", "main:storage")
        for process in cluster.replicas(name)
        for file in process.open_files()
        if Path(file.path).name.startswith("replica_")
    }
    assert logs
    before = {log: log.stat().st_size for log in logs}

    def told() -> str:
        return "".join(log.read_bytes()[size:].decode() for log, size in before.items())

    answer = cluster.client.get(f"/generated/{'1' * 32}.png")
    problem(answer, 404, "not_found")
    deadline = time.monotonic() + 30
    while "code=not_found" not in told():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # Without Serve's own: its access log, off in the shipped configurations, and a replica's first.
    lines = [
        line
        for line in told().splitlines()
        if answer.json()["request_id"] in line and not re.search(" -- (CALL|GET|Started) ", line)
    ]
    assert len(lines) == 1, lines
    assert "INFO" in lines[0]
    assert "code=not_found" in lines[0]
    assert "Traceback" not in told()


def test_413(cluster):
    answer = cluster.client.post(
        f"{LIMITED}/api/generate",
        data={"prompt": "p", "model": "stable-diffusion"},
        files={"image": ("a.png", b"x" * 100_000)},
        headers=AUTH,
    )
    assert "65536" in problem(answer, 413, "body_too_large")


def limited(cluster: Cluster, **fields: object) -> httpx.Response:
    data = {
        "prompt": "p",
        "model": "stable-diffusion",
        "num_images": "1",
        "preserve_product": "false",
    }
    data.update({name: str(value) for name, value in fields.items()})
    return cluster.client.post(
        f"{LIMITED}/api/generate", data=data, files={"image": ("a.png", png())}, headers=AUTH
    )


def test_results_in_an_s3_bucket_are_served_through_the_ingress(cluster):
    url = limited(cluster, steps=2).json()["images"][0]
    assert url.startswith(f"{cluster.url}{LIMITED}/generated/")
    answer = cluster.client.get(url)  # reading needs no key
    assert answer.status_code == 200
    assert "max-age=3" in answer.headers["cache-control"]
    body = {"image_url": url, "prompt": "p", "model": "stable-diffusion", "num_images": 1}
    body |= {"steps": 2, "preserve_product": False}
    again = cluster.client.post(f"{LIMITED}/api/variation", json=body, headers=AUTH)
    assert again.status_code == 200, again.text


def test_504_cancels_the_work_and_stores_nothing(cluster):
    answer = limited(cluster, num_images=2, steps=200, strength=1)
    assert "4 s" in problem(answer, 504, "deadline_exceeded")
    # Its rows and its places are free again.
    assert limited(cluster, steps=2).status_code == 200


def test_429_while_there_is_no_room(cluster):
    with cluster.client.stream(
        "POST",
        f"{LIMITED}/api/generate",
        data={
            "prompt": "p",
            "model": "stable-diffusion",
            "steps": "200",
            "num_images": "2",
            "preserve_product": "false",
        },
        files={"image": ("a.png", png())},
        headers={**AUTH, "Accept": "text/event-stream"},
    ) as busy:
        lines = busy.iter_lines()
        next(line for line in lines if line == "event: progress")
        refused = limited(cluster, steps=2)
        problem(refused, 429, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        rest = list(lines)
    # An answer that has begun tells its deadline as an event.
    assert "event: error" in rest
    assert "deadline_exceeded" in " ".join(rest)


def test_500_says_nothing_about_the_cause(cluster):
    url = cluster.generate(png(), num_images=1).json()["images"][0]
    name = url.rsplit("/", 1)[1]
    next(cluster.data.rglob(name)).write_bytes(b"damaged")
    problem(cluster.client.get(url), 500, "internal_error")


def test_503_a_model_that_cannot_load_fails_alone(cluster):
    answer = cluster.generate(png(), model="missing")
    assert problem(answer, 503, "unavailable") == "model 'missing' is not available"
    assert int(answer.headers["retry-after"]) >= 1
    assert cluster.generate(png(), num_images=1).status_code == 200


def test_openapi_and_docs_are_served(cluster):
    for path in ("/openapi.json", "/docs", "/docs/assets/swagger-ui.css"):
        assert cluster.client.get(path).status_code == 200
