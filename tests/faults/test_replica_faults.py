"""Replicas that are killed while they work: nobody notices but the log."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil

from tests.faults.cluster import wait_until
from tests.faults.conftest import World, form, under_load


def stream(world: World, **fields: object):
    return world.client.stream(
        "POST", "/api/generate", headers={"Accept": "text/event-stream"}, **form(**fields)
    )


def retries(world: World, callee: str) -> int:
    return len(world.cluster.log_lines("ingress", f"A call to {callee} failed (replica_lost)"))


def test_images_of_a_model_replica_that_dies_are_made_again_with_their_seeds(world):
    settings = {"num_images": 4, "seed": 3, "steps": 100, "preserve_product": "auto"}
    expected = [world.pixels(url) for url in world.generate(**settings).json()["images"]]
    before = retries(world, "stable-diffusion")
    with stream(world, **settings) as answer:
        lines = answer.iter_lines()
        next(line for line in lines if line == "event: progress")
        world.cluster.replicas("stable-diffusion")[0].kill()
        data = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert "images" in data[-1], data[-1]
    got = [world.pixels(url) for url in data[-1]["images"]]
    assert all(abs(mine - other).max() <= 1 for mine, other in zip(got, expected, strict=True))
    wait_until(lambda: retries(world, "stable-diffusion") > before, 10)


def test_a_studio_replica_that_dies_costs_nobody_anything(world):
    before = retries(world, "studio")
    with ThreadPoolExecutor(6) as pool:
        for _ in range(5):
            asked = [pool.submit(world.generate, preserve_product="auto") for _ in range(6)]
            time.sleep(0.4)  # six searches for a product take longer than this
            world.cluster.replicas("studio")[0].kill()
            assert [future.result().status_code for future in asked] == [200] * 6
            if retries(world, "studio") > before:
                break
            wait_until(lambda: len(world.cluster.replicas("studio")) == 2)
    assert retries(world, "studio") > before
    assert world.findings().wrong == []


def test_a_storage_replica_that_dies_between_its_put_and_its_reply_leaves_one_image(world):
    before = set(world.findings().images)
    stored, killed = threading.Event(), threading.Event()

    def hold(method: str, path: str, port: int) -> None:
        if method == "PUT" and path.endswith(".png") and "/generated/" in path:
            if stored.is_set():
                return
            stored.set()
            owner(port).kill()
            killed.set()

    with world.proxy.failing(before_reply=hold):
        answer = world.generate()
    assert killed.is_set()
    assert answer.status_code == 200, answer.text
    (url,) = answer.json()["images"]
    world.pixels(url)
    findings = world.findings()
    assert set(findings.images) - before == {url.rsplit("/", 1)[1].removesuffix(".png")}
    assert (findings.wrong, findings.unfinished, findings.unneeded) == ([], [], [])
    assert retries(world, "storage") >= 1


def owner(port: int) -> psutil.Process:
    """The process that holds a local port."""
    for connection in psutil.net_connections("tcp"):
        if connection.laddr.port == port and connection.pid:
            return psutil.Process(connection.pid)
    raise LookupError(f"nobody holds port {port}")


def test_an_ingress_replica_that_dies_fails_only_the_requests_it_held(world):
    victim = world.cluster.replicas("ingress")[0]
    load = under_load(world, 4, victim.kill)
    assert len(load.failures) <= 4
    assert [answer.status_code for answer in load.again] == [200] * len(load.failures)
    for url in load.images:
        world.pixels(url)
    assert world.findings().wrong == []


def test_a_model_whose_replicas_are_gone_answers_503_and_the_other_serves_on(world):
    away = world.weights.with_name("controlnet-away")
    folder = world.weights.with_name("controlnet")
    folder.rename(away)
    try:
        world.cluster.replicas("controlnet")[0].kill()
        # Neither the answer nor the refusal waits for the deadline.
        with ThreadPoolExecutor(1) as pool:
            refused = pool.submit(world.generate, model="controlnet")
            served = 0
            while not refused.done():
                assert world.generate().status_code == 200
                served += 1
        answer: httpx.Response = refused.result()
        assert answer.status_code == 503, answer.text
        assert answer.json()["code"] == "unavailable"
        assert int(answer.headers["retry-after"]) >= 1
        assert served > 3
    finally:
        away.rename(folder)
    wait_until(lambda: world.generate(model="controlnet").status_code == 200)


def test_a_node_that_is_lost_under_load_fails_only_what_its_ingress_held(world):
    def lose() -> None:
        world.cluster.remove_node("two")

    try:
        load = under_load(world, 4, lose, num_images=2)
    finally:
        world.cluster.add_node("two")
    # An ingress that lives fails nothing: what fails has no answer of ours.
    ours = [a.text for a in load.failures if isinstance(a, httpx.Response) and "code" in a.text]
    assert ours == []
    assert len(load.failures) <= 4
    assert [answer.status_code for answer in load.again] == [200] * len(load.failures)
    assert world.findings().wrong == []


def test_a_rolling_update_under_load_fails_nothing(world):
    # The model that has one replica: the next one has to be there before it goes.
    (application,) = world.config["applications"]
    parts = ("ingress", "studio", "storage", "controlnet")
    old = {name: {process.pid for process in world.cluster.replicas(name)} for name in parts}
    application["args"]["ingress"]["deadline_s"] = 299
    application["args"]["storage"]["sweep_interval_s"] = 599
    application["args"]["studio"] = {"contact_shadow": 0.1}
    application["args"]["models"][1]["max_steps"] = 99

    fewer = set()

    def renewed() -> bool:
        now = {name: {process.pid for process in world.cluster.replicas(name)} for name in parts}
        fewer.update(name for name in parts if len(now[name]) < len(old[name]))
        return not any(now[name] & old[name] for name in parts)

    def update() -> None:
        world.cluster.deploy(world.config)
        wait_until(renewed)

    load = under_load(world, 4, update, model="controlnet")
    assert [getattr(failure, "text", failure) for failure in load.failures] == []
    assert fewer == set()
    for url in load.images:
        world.pixels(url)
    assert world.findings().wrong == []
