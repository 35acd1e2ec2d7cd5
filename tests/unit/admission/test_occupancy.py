"""The mean of a number that changes now and then."""

from __future__ import annotations

import pytest

from deployments.admission import occupancy
from deployments.admission.occupancy import Occupancy


def test_the_mean_weighs_by_time() -> None:
    images = Occupancy()
    for now, number in ((0, 4), (6, 1), (8, 0), (9, 2)):
        images.now_is(number, now)
    assert images.mean(10, 10) == pytest.approx((6 * 4 + 2 * 1 + 1 * 2) / 10)
    assert images.mean(3, 10) == pytest.approx((1 * 1 + 1 * 2) / 3)
    assert images.mean(1, 10) == 2
    assert images.mean(4, 20) == 2


def test_what_was_before_all_that_is_known_does_not_count() -> None:
    images = Occupancy()
    assert images.mean(5, 3) == 0
    images.now_is(3, 10)
    assert images.mean(5, 10) == 3
    images.now_is(1, 12)
    assert images.mean(100, 14) == pytest.approx((2 * 3 + 2 * 1) / 4)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occupancy, "_REMEMBERED", 2)
    images = Occupancy()
    for now, number in ((0, 9), (5, 2), (5, 2), (6, 4)):
        images.now_is(number, now)
    assert images.mean(8, 8) == pytest.approx((1 * 2 + 2 * 4) / 3)
