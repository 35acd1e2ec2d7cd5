"""An S3 store that is away, slow or refuses: waited for a while, and nothing is half done."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.conftest import OUTAGE_S, World, form, settle
from tests.faults.s3_proxy import INTERNAL, SLOW_DOWN


@pytest.mark.parametrize(
    "faults",
    [{"down": True}, {"answer": INTERNAL}, {"answer": SLOW_DOWN}],
    ids=["down", "500", "slow-down"],
)
def test_a_store_that_is_back_after_some_seconds_costs_nobody_anything(world, faults):
    with ThreadPoolExecutor(1) as pool:
        with world.proxy.failing(**faults) as seen:
            asked = pool.submit(world.generate, num_images=2)
            threading.Event().wait(3)
            assert not asked.done()
            assert seen.refused > 3  # more than the client's own attempts
        answer = asked.result()
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["images"]) == 2
    findings = world.findings()
    assert (findings.wrong, findings.unfinished, findings.unneeded) == ([], [], [])


def test_a_slow_store_is_waited_for(world):
    with world.proxy.failing(delay_s=1.0):
        answer = world.generate()
    assert answer.status_code == 200, answer.text


def test_while_the_store_stays_away_nothing_is_half_delivered(world):
    before = set(world.findings().images)

    def is_an_image(method: str, path: str) -> bool:
        return method == "PUT" and path.endswith(".png") and "/generated/" in path

    with world.proxy.failing(last=is_an_image) as store:
        with (
            world.client.stream(
                "POST",
                "/api/generate",
                headers={"Accept": "text/event-stream"},
                **form(num_images=4, steps=50),
            ) as answer,
            ThreadPoolExecutor(2) as pool,
        ):
            events, refused, hasty = [], None, None
            name = ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: ") and name not in ("waiting", "progress"):
                    events.append((name, json.loads(line.removeprefix("data: "))))
                if store.down and refused is None:
                    refused = pool.submit(world.generate)
                    hasty = pool.submit(
                        world.client.post,
                        "/api/generate",
                        headers={"X-Deadline-Seconds": str(OUTAGE_S / 2)},
                        **form(),
                    )
        assert refused is not None
        assert hasty is not None
        wholes = [refused.result(), hasty.result()]
    # The stream: what was delivered stays, then the failure.
    assert [name for name, _ in events] == ["image", "error"]
    assert events[-1][1]["code"] == "unavailable"
    world.pixels(events[0][1]["url"])
    # JSON: nothing, and a deadline that ends before the patience does not hide the reason.
    for whole in wholes:
        assert (whole.status_code, whole.json()["code"]) == (503, "unavailable"), whole.text
        assert int(whole.headers["retry-after"]) >= 1
    settle(world)
    findings = world.findings()
    assert findings.wrong == []
    assert len(set(findings.images) - before) == 1


def test_an_image_that_is_damaged_is_reported_and_others_are_served(world: World):
    good, damaged, forgotten = world.generate(num_images=3).json()["images"]
    keys = [url.rsplit("/", 1)[1].removesuffix(".png") for url in (damaged, forgotten)]
    world.store.put(f"generated/{keys[0]}.png", b"no image", "image/png")
    world.store.put(f"generated/{keys[1]}.json", b"{no recipe", "application/json")
    answer = world.client.get(damaged)
    assert (answer.status_code, answer.json()["error"]) == (500, "the stored image is damaged")
    body = {"image_url": forgotten, "prompt": "p", "model": "controlnet", "num_images": 1}
    answer = world.client.post("/api/variation", json=body)
    assert (answer.status_code, answer.json()["error"]) == (500, "the stored image is damaged")
    world.pixels(good)
    assert any(keys[0] in line for line in world.cluster.log_lines("ingress", "damaged object"))
    body["image_url"] = good
    assert world.client.post("/api/variation", json=body).status_code == 200
    for key in keys:
        world.store.delete(f"generated/{key}.png")
        world.store.delete(f"generated/{key}.json")
