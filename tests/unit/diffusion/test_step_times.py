"""What a forward is worth, whatever held it up."""

from __future__ import annotations

import pytest

from deployments.diffusion.engine import step_times
from deployments.diffusion.engine.step_times import StepTimes


def test_the_first_of_all_is_free() -> None:
    known = StepTimes()
    assert known.row_pixel_s is None
    assert known.measured((64, 64), 2, 30.0) == 0


def test_the_first_of_a_kind_is_worth_the_average_at_most() -> None:
    known = StepTimes()
    known.measured((64, 64), 2, 1.0)
    assert known.measured((64, 128), 2, 30.0) == pytest.approx(2.0)
    # The average has moved by a fifth of the way.
    assert known.row_pixel_s == pytest.approx((1 + 0.2 * 14) / (2 * 64 * 64))
    assert known.measured((64, 64), 4, 0.5) == 0.5


def test_one_that_is_held_up_is_worth_what_the_last_one_was() -> None:
    known = StepTimes()
    kind = ((64, 64), 2)
    worth = [known.measured(*kind, seconds) for seconds in (9, 1, 1.2, 50, 1, 3, 3)]
    assert worth == [0, 1, 1, 1.2, 1, 1, 3]


def test_rows_and_sizes_are_known_apart() -> None:
    known = StepTimes()
    for _ in range(2):
        known.measured((64, 64), 2, 1.0)
        known.measured((64, 64), 16, 2.0)
        known.measured((64, 96), 2, 1.4)
    assert known.measured((64, 64), 2, 7.0) == 1.0
    assert known.measured((64, 64), 16, 7.0) == 2.0
    assert known.measured((64, 96), 2, 7.0) == 1.4


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_times, "_KINDS", 3)
    known = StepTimes()
    for rows in (1, 2, 3, 1, 4):
        known.measured((64, 64), rows, float(rows))
    # The second was not seen for longest; the average, a second for each row, stands for it.
    assert known.measured((64, 64), 2, 90.0) == pytest.approx(2.0)
    known.measured((64, 64), 1, 90.0)
    assert known.measured((64, 64), 1, 100.0) == 90.0
