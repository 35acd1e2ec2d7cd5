"""Room for images: whole or not at all, fair among keys, and a wait made of measured times."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.admission.places import SHORTEST_WAIT_S, Places
from deployments.admission_messages import Lease, MadeImage
from deployments.errors import Overloaded

STEPS = 10


class Model:
    """One model's places with what is held of them."""

    def __init__(self, limit: int, **settings: float) -> None:
        self.places = Places("m", limit, **settings)
        self.leases: list[Lease] = []
        self.now = 0.0
        self._ids = itertools.count()

    def take(self, key: str, images: int, steps: int = STEPS) -> None:
        lease = Lease(str(next(self._ids)), 1, "m", key, images, steps)
        self.places.take(lease, self.leases, self.now)
        self.leases.append(lease)
        self.places.saw(self.leases, self.now)

    def wait_s(self, key: str, images: int) -> float:
        with pytest.raises(Overloaded) as caught:
            self.take(key, images)
        assert caught.value.retry_after_s is not None
        return caught.value.retry_after_s

    def finish(self, key: str) -> None:
        self.leases.remove(next(lease for lease in self.leases if lease.api_key_name == key))
        self.places.saw(self.leases, self.now)

    def measure(self, held_s: float, steps: int = STEPS) -> None:
        self.places.measure(MadeImage("m", steps, held_s), self.now)

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
    model.wait_s("", 3)
    assert model.held.total() == 2
    model.take("", 2)


def test_nobody_is_made_to_wait_too_long():
    model = Model(64, max_wait_s=10)
    for _ in range(4):  # nothing is measured yet
        model.take("", 1)
    model.measure(4.0)  # one image a second
    for _ in range(6):
        model.take("", 1)
    with pytest.raises(Overloaded, match="10 images in flight, and 1 more would not be done") as no:
        model.take("", 1)
    assert no.value.retry_after_s == pytest.approx(1.0)
    # Longer ones count for more, and what leaves makes room.
    for _ in range(4):
        model.finish("")
    with pytest.raises(Overloaded):
        model.take("", 1, steps=5 * STEPS)
    model.take("", 1, steps=4 * STEPS)


def test_a_request_that_takes_long_by_itself_is_served_when_nothing_is_in_flight():
    model = Model(64, max_wait_s=10)
    model.take("", 1)
    model.measure(4.0)
    model.finish("")
    model.take("", 8)
    with pytest.raises(Overloaded):
        model.take("", 1)


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
    model.take("", 1)
    assert model.wait_s("", 1) == SHORTEST_WAIT_S


def test_the_wait_is_what_the_missing_places_take_to_come_free():
    model = Model(4)
    model.take("", 4)
    model.measure(8.0)
    # Four in flight, eight seconds each: one leaves every two seconds.
    assert model.wait_s("", 1) == pytest.approx(2.0)
    assert model.wait_s("", 3) == pytest.approx(6.0)


def test_the_wait_counts_the_steps_of_what_is_in_flight():
    model = Model(2)
    model.take("", 2)
    model.measure(4.0)
    slow = Model(2)
    slow.places = model.places
    slow.take("", 2, steps=5 * STEPS)
    assert slow.wait_s("", 1) == pytest.approx(5 * model.wait_s("", 1))


def test_the_wait_for_a_share_is_that_of_the_keys_own_images():
    model = Model(8)
    model.take("a", 8)
    model.measure(8.0)  # a step of one image takes 0.1 s
    model.wait_s("b", 2)
    # Its share is 4, so 8 + 1 - 4 of its own have to leave, one a second.
    assert model.wait_s("a", 1) == pytest.approx(5.0)


def test_the_last_images_of_a_request_do_not_tell_of_a_slow_model():
    model = Model(64, max_wait_s=11)
    model.take("", 4)
    for end in (7.9, 8.0, 8.1, 8.2):
        model.now = end
        model.measure(end)
        (lease,) = model.leases
        model.leases = [replace(lease, images=lease.images - 1)] if lease.images > 1 else []
        model.places.saw(model.leases, model.now)
    # Four in eight seconds: another four and one more are done within eleven.
    model.take("", 4)
    model.take("", 1)
    with pytest.raises(Overloaded):
        model.take("", 1)


def test_what_waited_for_the_model_to_load_counts_only_at_first():
    model = Model(64, max_wait_s=10)
    model.take("", 1)
    model.take("", 1)
    model.now = 60
    model.measure(60.0)
    model.finish("")
    with pytest.raises(Overloaded):
        model.take("", 1)
    # Began before the first was made, so it may have waited as well.
    model.now = 61
    model.measure(61.0)
    model.finish("")
    model.take("", 1)
    with pytest.raises(Overloaded):
        model.take("", 1)
    model.now = 63
    model.measure(2.0)
    model.finish("")
    for _ in range(5):
        model.take("", 1)
    with pytest.raises(Overloaded):
        model.take("", 1)


def test_measurements_are_smoothed():
    model = Model(1)
    model.take("", 1)
    model.measure(10.0)
    model.measure(20.0)
    speed = STEPS / 10 + Places.SMOOTHING * (STEPS / 20 - STEPS / 10)
    assert model.wait_s("", 1) == pytest.approx(STEPS / speed)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["a", "b", "c", ""]), st.integers(1, 6)),
        st.floats(0.1, 20.0),
        st.sampled_from(["finish a", "finish b", "finish c", "finish "]),
    ),
    max_size=80,
)


@settings(deadline=None)
@given(st.integers(1, 8), ACTIONS)
def test_the_bounds_hold_whatever_happens(limit, actions):
    model = Model(limit)
    for action in actions:
        before = model.held
        if isinstance(action, float):
            model.now += action
        elif isinstance(action, str):
            key = action.removeprefix("finish ")
            if before[key]:
                model.measure(1.0)
                model.finish(key)
        else:
            key, images = action
            try:
                model.take(key, images)
            except Overloaded:
                assert model.held == before
            else:
                assert model.held == before + Counter({key: images})
                others = sum(1 for other in before if other != key)
                if before[key] and others:
                    assert model.held[key] <= limit / (others + 1)
        assert model.held.total() <= limit


@settings(deadline=None, max_examples=40)
@given(
    limit=st.integers(4, 24),
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=5),
    seconds=st.integers(1, 4),
)
def test_greedy_keys_reach_their_shares_within_bounded_time(limit, sizes, seconds):
    """Each asks as often as it can, and again as soon as it was told to; one was there first."""
    model = Model(limit)
    keys = {f"k{n}": size for n, size in enumerate(sizes)}
    first = "k0"
    for _ in range(limit // keys[first]):
        model.take(first, keys[first])
    model.measure(float(seconds))
    ends = {lease.id: float(seconds) for lease in model.leases}
    again = dict.fromkeys(keys, 0.0)
    most, served = Counter[str](), Counter[str]()
    for tick in range(240):
        model.now = tick / 4
        for lease in [lease for lease in model.leases if ends[lease.id] <= model.now]:
            model.measure(float(seconds))
            model.leases.remove(lease)
        for key, size in keys.items():
            while again[key] <= model.now:
                try:
                    model.take(key, size)
                except Overloaded as refusal:
                    again[key] = model.now + max(1.0, refusal.retry_after_s)
                else:
                    ends[model.leases[-1].id] = model.now + seconds
                    served[key] += 1
        if tick > 100:  # when what the first one held has gone
            for key, held in model.held.items():
                most[key] = max(most[key], held)
    share = limit / len(keys)
    for key, size in keys.items():
        assert served[key] > 0
        assert most[key] <= max(share, size)
        # While somebody else's requests are larger than a share, the others make room for them.
        if max(sizes) <= share:
            assert most[key] >= share // size * size
