"""What requests cost is learned apart: a search, an image, a step of an image."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from deployments.admission.costs import Costs
from deployments.admission_messages import Lease, MadeImage

NUMBERS = itertools.count()


def lease(images: int = 1, steps: int = 20, *, searches: bool = False) -> Lease:
    return Lease(str(next(NUMBERS)), 1, "m", "", images, steps, images, searches)


class Alone:
    """A model with one request at a time.

    Args:
        costs: Seconds of a search, of an image, and of a step of an image.
    """

    def __init__(self, *costs: float) -> None:
        self.learned = Costs()
        self.true = costs
        self.now = 0.0

    def cost(self, held: Lease) -> float:
        search, image, step = self.true
        return search * held.searches + held.images * (image + step * held.steps)

    def serve(self, held: Lease, late_s: float = 0.0) -> None:
        self.learned.saw([held], self.now)
        self.now += self.cost(held) + late_s
        for _ in range(held.images):
            share = 1 / held.images if held.searches else 0.0
            self.learned.made(MadeImage("m", held.steps, share))
        self.learned.saw([], self.now)

    def serve_many(self, times: int) -> None:
        draw = random.Random(5)  # noqa: S311 - a simulation
        for _ in range(times):
            images, steps = draw.choice([1, 2, 4]), draw.choice([1, 5, 20, 50])
            self.serve(lease(images, steps, searches=draw.random() < 0.5))


@pytest.mark.parametrize(
    "costs", [(0.5, 0.1, 0.01), (0.2, 0.05, 0.001), (0.5, 0.3, 4.0), (0.0, 0.2, 0.02)]
)
def test_short_and_long_requests_are_foreseen(costs):
    model = Alone(*costs)
    model.serve_many(150)
    for held in (lease(1, 1), lease(4, 20), lease(8, 50), lease(1, 20, searches=True)):
        assert model.learned.of(held) == pytest.approx(model.cost(held), rel=0.15, abs=0.02)


def test_nothing_is_known_before_an_image_was_made():
    learned = Costs()
    assert not learned.known
    learned.saw([lease()], 0.0)
    learned.saw([], 3.0)
    assert not learned.known, "nothing came of it"
    learned.saw([lease()], 4.0)
    learned.made(MadeImage("m", 20))
    learned.saw([], 5.0)
    assert learned.known


def test_what_waited_for_the_model_to_load_counts_only_at_first():
    model = Alone(0.0, 0.1, 0.05)
    model.serve(lease(), late_s=60)
    assert model.learned.of(lease()) > 30
    model.serve(lease())
    assert model.learned.of(lease()) < 3


def test_a_model_that_grows_slower_is_noticed():
    model = Alone(0.3, 0.1, 0.02)
    model.serve_many(100)
    model.true = (0.6, 0.2, 0.04)
    model.serve_many(60)
    assert model.learned.of(lease(4)) == pytest.approx(model.cost(lease(4)), rel=0.25)


def test_one_outage_is_no_slow_model():
    model = Alone(0.3, 0.1, 0.02)
    model.serve_many(100)
    model.serve(lease(4), late_s=100)
    assert model.learned.of(lease(4)) < 1.7 * model.cost(lease(4))


def test_while_it_stays_busy_it_is_learned_all_the_same():
    """Two requests overlap at all times, and share the model."""
    learned, now = Costs(), 0.0
    held = [lease(2, 20), lease(2, 20)]
    learned.saw(held, now)
    for _ in range(200):
        now += 0.5  # an image of half a second
        learned.made(MadeImage("m", 20))
        first, *others = held
        held = [*others, lease(2, 20)] if first.images == 1 else [replace(first, images=1), *others]
        learned.saw(held, now)
    assert learned.of(lease(1, 20)) == pytest.approx(0.5, rel=0.15)


def test_what_is_half_done_takes_half_as_long():
    model = Alone(0.0, 0.1, 0.05)
    model.serve_many(60)
    held = lease(4)
    model.learned.saw([held], model.now)
    whole = model.learned.left(model.now)
    assert whole == pytest.approx(model.learned.of(held))
    assert model.learned.left(model.now + whole / 2) == pytest.approx(whole / 2)
    assert model.learned.left(model.now + 10 * whole) == pytest.approx(0, abs=1e-9)
