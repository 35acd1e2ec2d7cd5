"""Room for images: whole or not at all, fair among keys, and a wait made of measured times."""

from __future__ import annotations

import itertools
from collections import Counter
from contextlib import suppress

import pytest

from deployments.admission.places import SHORTEST_WAIT_S, Places
from deployments.admission_messages import Lease, MadeImage
from deployments.errors import Overloaded

STEPS = 10


class Model:
    """One model's places with what is held of them.

    Args:
        limit: Images in flight.
        image_s: Seconds that an image of STEPS steps takes; None leaves the model unmeasured.
    """

    def __init__(self, limit: int, image_s: float | None = None, **settings: float) -> None:
        self.places = Places("m", limit, **settings)
        self.leases: list[Lease] = []
        self.now = 0.0
        self._ids = itertools.count()
        if image_s is not None:
            self.learn(image_s)

    def learn(self, image_s: float, times: int = 60) -> None:
        """Make images one by one, of one and of many steps; none in flight afterwards."""
        for steps in [STEPS // 2, 2 * STEPS] * times:
            self.take("", 1, steps)
            self.now += image_s * steps / STEPS
            self.finish("", made=True)

    def take(
        self, key: str, images: int, steps: int = STEPS, mark: str | None = None
    ) -> float | None:
        name = str(next(self._ids))
        lease = Lease(name, 1, "m", key, images, steps, images, mark=mark or name)
        done_s = self.places.take(lease, self.leases, self.now)
        self.leases.append(lease)
        self.places.saw(self.leases, self.now)
        return done_s

    def wait_s(self, key: str, images: int, steps: int = STEPS, mark: str | None = None) -> float:
        with pytest.raises(Overloaded) as caught:
            self.take(key, images, steps, mark)
        assert caught.value.retry_after_s is not None
        return caught.value.retry_after_s

    def finish(self, key: str, *, made: bool = False) -> None:
        lease = next(lease for lease in self.leases if lease.api_key_name == key)
        self.leases.remove(lease)
        for _ in range(lease.images if made else 0):
            self.places.made(MadeImage("m", lease.steps))
        self.places.saw(self.leases, self.now)

    @property
    def held(self) -> Counter[str]:
        held = Counter[str]()
        for lease in self.leases:
            held[lease.api_key_name] += lease.images
        return held


def test_places_are_taken_up_to_the_limit():
    model = Model(4)
    model.take("", 3)
    model.take("", 1)
    with pytest.raises(Overloaded, match="model 'm' has 4 images in flight and takes at most 4; 1"):
        model.take("", 1)
    model.finish("")
    model.take("", 3)


def test_a_request_gets_all_its_places_or_none():
    model = Model(4)
    model.take("", 2)
    model.wait_s("", 3, mark="again")
    assert model.held.total() == 2
    model.finish("")
    model.take("", 3, mark="again")


def test_nobody_is_made_to_wait_too_long():
    model = Model(64, image_s=1.0, max_wait_s=10)
    for _ in range(10):
        model.take("", 1)
    with pytest.raises(Overloaded, match="10 images in flight, and 1 more would not be done") as no:
        model.take("", 1)
    # A second too long, told a little longer: room comes in images.
    assert no.value.retry_after_s == pytest.approx(1.1 * 1.0 + 1.0, abs=0.2)


def test_longer_images_count_for_more():
    model = Model(64, image_s=1.0, max_wait_s=10)
    for _ in range(6):
        model.take("", 1)
    model.take("", 1, steps=3 * STEPS)
    model.finish("")
    model.wait_s("", 1, steps=3 * STEPS)


def test_a_request_that_takes_long_by_itself_is_served_when_nothing_is_in_flight():
    model = Model(64, image_s=4.0, max_wait_s=10)
    model.take("", 8)
    with pytest.raises(Overloaded):
        model.take("", 1)


def test_a_key_that_holds_nothing_is_let_in_whatever_the_others_take():
    model = Model(64, image_s=1.0, max_wait_s=10)
    for _ in range(10):
        model.take("busy", 1)
    model.take("rare", 4)
    # Now each may have five seconds, and the first has more.
    for _ in range(5):
        model.wait_s("busy", 1, mark="busy")
        model.finish("busy")
    model.take("rare", 1)


def test_cheap_requests_of_one_key_do_not_shut_out_another():
    """Short requests take nearly all of their time before and after the model."""
    model = Model(64, image_s=1.0, max_wait_s=14)
    for _ in range(20):
        model.take("cheap", 1, steps=1)
        model.now += 0.5
        model.finish("cheap", made=True)
    taken = 0
    for _ in range(14):
        with suppress(Overloaded):
            model.take("other", 1)
            taken += 1
    assert taken >= 11


def test_one_key_alone_may_take_everything():
    model = Model(8)
    for _ in range(8):
        model.take("a", 1)


def test_a_key_stays_within_its_share_while_another_holds_places():
    model = Model(8)
    model.take("b", 1)
    model.take("a", 4)
    with pytest.raises(Overloaded, match=r"this key has 4 images .* its share is 4 while 2 keys"):
        model.take("a", 1)
    model.finish("b")
    model.take("a", 4)


def test_a_key_stays_within_its_share_while_another_wants_places():
    model = Model(8)
    model.take("a", 8)
    model.wait_s("b", 2)
    model.finish("a")
    model.take("a", 4)
    model.wait_s("a", 4)
    # Who does not come back wants nothing any more.
    model.now = 60.0
    model.take("a", 4)


def test_what_comes_free_goes_to_the_key_below_its_share():
    model = Model(4)
    for _ in range(4):
        model.take("a", 1)
    model.wait_s("b", 2)
    for _ in range(2):
        model.finish("a")
        model.wait_s("a", 1)
    model.take("b", 2)
    assert model.held == {"a": 2, "b": 2}


def test_a_large_request_is_not_starved_by_small_ones():
    model = Model(4)
    for key in ("a", "b", "c", "d"):
        model.take(key, 1)
    model.wait_s("large", 4)  # over its share of four fifths of a place
    for key in ("a", "b", "c", "d"):
        model.finish(key)
        model.wait_s(key, 1)
    model.take("large", 4)


def test_a_request_larger_than_all_places_keeps_none_from_others():
    model = Model(2)
    model.wait_s("a", 3)
    model.take("b", 2)


def test_without_a_measurement_the_wait_is_the_shortest():
    model = Model(1)
    assert model.take("", 1) is None
    assert model.wait_s("", 1) == SHORTEST_WAIT_S


def test_the_wait_is_what_the_missing_places_take_to_come_free():
    model = Model(4, image_s=2.0)
    model.take("", 4)
    # One leaves every two seconds.
    assert model.wait_s("", 1) == pytest.approx(1.1 * 2 + 2, rel=0.1)
    model = Model(4, image_s=2.0)
    model.take("", 4)
    assert model.wait_s("", 3) == pytest.approx(1.1 * 6 + 2, rel=0.1)


def test_the_wait_grows_shorter_while_images_are_made():
    model = Model(64, image_s=1.0, max_wait_s=10)
    model.take("", 8)
    first = model.wait_s("", 4, mark="again")
    model.now += 1.5
    assert model.wait_s("", 4, mark="again") == pytest.approx(first - 1.1 * 1.5, abs=0.3)


def test_each_who_was_refused_has_a_place_in_line():
    model = Model(64, image_s=1.0, max_wait_s=8)
    model.take("", 8)
    waits = [model.wait_s("", 4, mark=mark) for mark in ("a", "b", "c")]
    assert waits[1] - waits[0] == pytest.approx(1.1 * 4, rel=0.2)
    assert waits[2] - waits[1] == pytest.approx(1.1 * 4, rel=0.2)
    # Asking too early changes nothing.
    assert model.wait_s("", 4, mark="b") == pytest.approx(waits[1], rel=0.05)


def test_who_comes_when_told_to_finds_the_room_kept():
    model = Model(64, image_s=1.0, max_wait_s=8)
    model.take("", 4)
    model.take("", 4)
    wait_s = model.wait_s("", 4, mark="patient")
    model.now += 4.0
    model.finish("", made=True)
    # There is room now, and it is not this one's.
    model.wait_s("", 4)
    model.now += wait_s - 4.0
    model.take("", 4, mark="patient")


def test_a_place_in_line_that_nobody_takes_is_gone():
    model = Model(64, image_s=1.0, max_wait_s=8)
    for _ in range(40):
        model.take("", 8)
        model.wait_s("", 8)
        model.now += 8.0
        model.finish("", made=True)
        model.now += 20.0
    model.take("", 4)
    # So many never came again that the line counts for little.
    waits = [model.wait_s("", 8) for _ in range(10)]
    assert max(waits) < 20


def test_the_wait_counts_the_steps_of_what_is_in_flight():
    waits = []
    for steps in (STEPS, 5 * STEPS):
        model = Model(2, image_s=2.0)
        model.take("", 2, steps=steps)
        waits.append(model.wait_s("", 1))
    assert waits[1] == pytest.approx(5 * waits[0], rel=0.1)


def test_the_wait_for_a_share_is_that_of_the_keys_own_images():
    model = Model(8, image_s=1.0)
    model.take("a", 8)
    model.wait_s("b", 2)
    # Its share is 4, so 8 + 1 - 4 of its own have to leave, one a second.
    assert model.wait_s("a", 1) == pytest.approx(1.1 * 5 + 1, rel=0.1)
