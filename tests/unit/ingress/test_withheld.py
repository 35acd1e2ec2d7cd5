"""Results the safety filter keeps back: told, counted out, and never stored."""

from __future__ import annotations

import json

import pytest

from deployments.settings import StudioSettings
from deployments.studio.deployment import Studio
from deployments.studio.safety import REASON
from tests.unit.ingress.memory import Surface, key_of

EVENTS = {"Accept": "text/event-stream"}


class OddSeeds:
    """Withholds what the scripted model painted of an odd seed."""

    def withholds(self, model, pixels):
        return REASON if pixels[0, 0, 0] % 2 else None


def filtered(api: Surface) -> None:
    api.studio._studio._safety = OddSeeds()


async def streamed(api: Surface, **fields: object) -> list[tuple[str, dict]]:
    api.client.headers.update(EVENTS)
    lines = (await api.generate(**fields)).text.splitlines()
    names = [line[7:] for line in lines if line.startswith("event: ")]
    data = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    return [pair for pair in zip(names, data, strict=True) if pair[0] != "progress"]


async def test_without_a_filter_nothing_is_withheld(api):
    assert (await api.generate(num_images=2)).json()["withheld"] == []


async def test_what_remains_is_aligned_and_the_rest_is_told(api):
    filtered(api)
    answer = await api.generate(num_images=4, seed=10, preserve_product="false")
    body = answer.json()
    assert answer.status_code == 200
    assert body["seeds"] == [10, 12]
    assert len(body["images"]) == len(body["fidelity"]) == 2
    assert body["withheld"] == [{"index": 1, "reason": REASON}, {"index": 3, "reason": REASON}]


async def test_a_withheld_image_leaves_nothing_in_the_store(api):
    filtered(api)
    body = (await api.generate(num_images=4, seed=10, preserve_product="false")).json()
    keys = {key_of(url) for url in body["images"]}
    made = {job.key for job in api.models.jobs}
    assert keys < made
    for name in api.names():
        assert not any(key in name for key in made - keys), name
    for url in body["images"]:  # and with the others go their sources
        assert (await api.client.delete(url)).status_code == 204
    assert api.names() == []


async def test_a_stream_tells_each_as_it_happens(api):
    filtered(api)
    told = await streamed(api, num_images=2, seed=10, preserve_product="false")
    assert sorted(name for name, _ in told) == ["done", "image", "waiting", "withheld"]
    events = dict(told)
    assert events["withheld"] == {"index": 1, "reason": REASON}
    assert events["done"]["withheld"] == [events["withheld"]]
    assert events["done"]["images"] == [events["image"]["url"]]


async def test_no_image_at_all_is_an_error_that_says_why(api):
    settings = StudioSettings()
    safety = {"stable-diffusion": 0.0}  # the real classifier, which then flags everything
    api.studio._studio = Studio(settings, finder=api.studio.finder, safety=safety)
    answer = await api.generate(num_images=2)
    assert (answer.status_code, answer.json()["code"]) == (400, "all_withheld")
    assert "safety filter withheld every image" in answer.json()["error"]
    assert api.names() == []
    other = await api.generate(num_images=1, model="controlnet")
    assert other.status_code == 200


async def test_a_stream_of_none_ends_in_that_error(api):
    filtered(api)
    told = await streamed(api, num_images=1, seed=11, preserve_product="false")
    assert [name for name, _ in told] == ["waiting", "withheld", "error"]
    assert told[-1][1]["code"] == "all_withheld"
    assert api.names() == []


@pytest.mark.parametrize("seed", [10, 11])
async def test_its_places_are_free_again(api, seed):
    filtered(api)
    for _ in range(70):  # more than there are places
        answer = await api.generate(num_images=1, seed=seed, preserve_product="false")
        assert answer.status_code == (200 if seed == 10 else 400)
