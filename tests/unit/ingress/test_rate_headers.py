"""What answers tell of an API key's rates, and of a request's place in the line."""

from __future__ import annotations

import re

import pytest

from deployments.admission_messages import Lease, RateLeft
from deployments.ingress.http.rate_headers import rate_headers
from deployments.settings import IngressSettings, RateSettings
from tests.unit.ingress.memory import png, surface
from tests.unit.ingress.test_cutout_rules import OTHER, SHOP, keyed
from tests.unit.ingress.test_cutouts import cut
from tests.unit.ingress.test_withheld import streamed

RATES = IngressSettings(rates=RateSettings(requests_per_minute=3, images_per_minute=8))


def left(answer) -> tuple[int, int]:
    """Requests and images that are left, as an answer tells them."""
    assert answer.headers["ratelimit-policy"] == '"requests";q=3;w=60, "images";q=8;w=60'
    told = answer.headers["ratelimit"]
    found = re.fullmatch(r'"requests";r=(\d+);t=(\d+), "images";r=(\d+);t=(\d+)', told)
    requests, requests_s, images, images_s = map(int, found.groups())
    assert all(0 <= seconds <= 60 for seconds in (requests_s, images_s))
    return requests, images


async def test_every_answer_that_counts_tells_what_is_left(tmp_path):
    made = keyed(tmp_path, RATES)
    async with made.client as client:
        client.headers.update(SHOP)
        assert left(await made.generate(num_images=2)) == (2, 6)
        assert left(await cut(made, headers=SHOP)) == (1, 6)
        refused = await made.generate(num_images=7)
        assert refused.json()["code"] == "rate_limited"
        assert left(refused) == (1, 6)
        wrong = await made.generate(num_images=6, prompt=" ")
        assert (wrong.status_code, "ratelimit" in wrong.headers) == (400, False)
        client.headers["Accept"] = "text/event-stream"
        streaming = await made.generate(num_images=6)
        assert streaming.headers["content-type"].startswith("text/event-stream")
        assert left(streaming) == (0, 0)
        client.headers.update(OTHER)
        assert left(await made.generate(num_images=1)) == (2, 7)


async def test_openais_clients_are_told_too(tmp_path):
    made = keyed(tmp_path, RATES)
    files = {"image": ("photo.png", png(), "image/png")}
    async with made.client as client:
        answer = await client.post(
            "/v1/images/edits", data={"prompt": "p", "n": "2"}, files=files, headers=SHOP
        )
        assert answer.status_code == 200, answer.text
        assert left(answer) == (2, 6)


async def test_without_rates_nothing_is_told(api):
    assert "ratelimit" not in (await api.generate(num_images=1)).headers


def test_seconds_are_rounded_up():
    told = rate_headers([RateLeft("images", 9, 0, 0.2)])
    assert told["RateLimit"] == '"images";r=0;t=1'
    assert rate_headers([]) == {}


async def test_pages_may_read_it(tmp_path):
    made = surface(tmp_path, RATES)
    async with made.client as client:
        answer = await client.get("/api/models", headers={"Origin": "http://localhost:3000"})
    exposed = answer.headers["access-control-expose-headers"]
    assert {"RateLimit", "RateLimit-Policy"} <= set(exposed.split(", "))


@pytest.mark.parametrize("before", [0, 2])
async def test_a_stream_begins_with_the_place_in_the_line(tmp_path, before):
    made = surface(tmp_path, IngressSettings(max_waiting_images=64))
    for number in range(before):
        other = Lease(str(number), number + 1, "stable-diffusion", "", 1, 4, 1)
        await made.admission.replica.take("other", other, RateSettings())
    async with made.client:
        name, data = (await streamed(made, num_images=1))[0]
    assert name == "waiting"
    assert data == {"place": before + 1, "expected_seconds": None}
