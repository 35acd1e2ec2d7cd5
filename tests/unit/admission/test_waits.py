"""What callers are told comes true, in simulated time; and nobody is shut out."""

from __future__ import annotations

import random

import pytest

from deployments.errors import Overloaded
from tests.unit.admission.simulation import Asked, SimulatedClient, SimulatedModel

GPU = (0.3, 0.05, 0.004)
WARM_S = 60.0
"""Seconds in which the costs are learned."""


def default(_: random.Random) -> Asked:
    return Asked(4, 19, searches=True)


def mixed(draw: random.Random) -> Asked:
    images, steps = draw.choice([1, 1, 2, 4, 4, 8]), draw.choice([1, 2, 10, 19, 19, 30, 50])
    return Asked(images, steps, draw.random() < 0.7)


@pytest.mark.parametrize(
    ("draw", "clients", "settings"),
    [
        (default, 6, {"max_wait_s": 7}),
        (mixed, 6, {"max_wait_s": 7}),
        (mixed, 20, {"max_wait_s": 7}),
        (mixed, 60, {"max_wait_s": 20}),
        (mixed, 20, {"max_wait_s": 15, "spread": 0.5}),
        (mixed, 60, {"max_wait_s": 20, "costs": GPU}),
    ],
)
def test_waits_come_true(draw, clients, settings):
    model = SimulatedModel(**settings)
    asking = [SimulatedClient(model, "", draw) for _ in range(clients)]
    model.run(600)
    waits = [
        (told, true) for client in asking for begun, told, true in client.waits if begun > WARM_S
    ]
    assert len(waits) >= 20
    close = [told / 1.5 <= true <= told * 1.5 for told, true in waits]
    assert sum(close) / len(close) >= 0.9
    # The line costs no time in which the model could have worked.
    alone = SimulatedModel(**{**settings, "max_wait_s": 1e9, "limit": 10**6})
    free = [SimulatedClient(alone, "", draw) for _ in range(clients)]
    alone.run(600)
    images = sum(client.images for client in asking)
    assert images >= 0.9 * sum(client.images for client in free)


def test_callers_who_never_come_again_hold_no_room():
    """Four times as many as can be served, and none asks twice."""
    model = SimulatedModel(max_wait_s=7)
    done: list[float] = []
    told: list[float] = []

    def arrive() -> None:
        try:
            model.take("", default(model.random), str(model.now), lambda: done.append(model.now))
        except Overloaded as refusal:
            told.append(refusal.retry_after_s or 0.0)
        if model.now < 240:
            model.call(model.now + model.random.expovariate(2.8), arrive)

    model.call(0, arrive)
    model.run(240)
    assert sum(1 for at in done if at > 120) / 120 >= 0.9 * 0.7
    assert sorted(told[-50:])[25] <= 10


def test_one_client_among_twelve_of_another_key():
    model = SimulatedModel(max_wait_s=7)
    many = [SimulatedClient(model, "many", default) for _ in range(12)]
    one = SimulatedClient(model, "one", default)
    model.run(300)
    assert one.refusals == 0
    assert one.images >= 0.5 * sum(client.images for client in many) / 2
    assert all(client.images for client in many)
