"""Room for images: taken whole or not at all, and a wait made of measured times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.errors import Overloaded
from deployments.ingress.admission import Admission


def wait_s(admission: Admission, images: int) -> float:
    with pytest.raises(Overloaded) as caught:
        admission.take(images)
    return caught.value.retry_after_s


def test_places_are_taken_up_to_the_limit():
    admission = Admission("m", 4)
    admission.take(3)
    admission.take(1)
    assert admission.taken == 4
    with pytest.raises(Overloaded, match="model 'm' has 4 images in flight and takes at most 4; 1"):
        admission.take(1)
    admission.release()
    admission.take(1)
    assert admission.taken == 4


def test_a_request_gets_all_its_places_or_none():
    admission = Admission("m", 4)
    admission.take(2)
    with pytest.raises(Overloaded):
        admission.take(3)
    assert admission.taken == 2
    admission.take(2)


def test_more_than_the_limit_never_fits():
    admission = Admission("m", 2)
    assert wait_s(admission, 3) > 0
    assert admission.taken == 0


def test_without_a_measurement_the_wait_is_a_second():
    admission = Admission("m", 1)
    admission.take(1)
    assert wait_s(admission, 1) == 1.0


def test_the_wait_is_what_the_missing_places_take_to_come_free():
    admission = Admission("m", 4)
    admission.take(4)
    admission.release(8.0)
    admission.take(1)
    # Four in flight, eight seconds each: one leaves every two seconds.
    assert wait_s(admission, 1) == pytest.approx(2.0)
    assert wait_s(admission, 3) == pytest.approx(6.0)


def test_measurements_are_smoothed_and_images_that_were_not_made_do_not_count():
    admission = Admission("m", 1)
    admission.take(1)
    admission.release(10.0)
    admission.take(1)
    admission.release(20.0)
    for _ in range(5):
        admission.take(1)
        admission.release()
    admission.take(1)
    assert wait_s(admission, 1) == pytest.approx(10 + Admission.SMOOTHING * 10)


@given(st.lists(st.one_of(st.integers(1, 6), st.just("release")), max_size=60))
def test_the_bound_holds_whatever_happens(actions):
    admission, held = Admission("m", 8), 0
    for action in actions:
        if action == "release":
            if held:
                admission.release(1.0)
                held -= 1
        elif held + action > 8:
            assert wait_s(admission, action) > 0
        else:
            admission.take(action)
            held += action
        assert admission.taken == held <= 8
