"""Settings of background requests: their bounds and what contradicts itself."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from deployments.background_settings import BackgroundSettings


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("at_once", [1, 64], [0, 65, 1.5]),
        ("max_per_key", [1, 2000], [0, "many"]),
        ("max_in_all", [500, 100_000], [0, 100_001]),
        ("longest_s", [0.01, 604_800], [0, 604_801]),
        ("poll_s", [0.05, 60], [0.04, 61]),
    ],
)
def test_bounds(name, taken, refused):
    for value in taken:
        assert getattr(BackgroundSettings(**{name: value}), name) == value
    for value in refused:
        with pytest.raises(ValidationError, match=name):
            BackgroundSettings(**{name: value})


def test_defaults():
    assert BackgroundSettings().model_dump() == {
        "at_once": 4,
        "max_per_key": 500,
        "max_in_all": 2000,
        "longest_s": 86_400.0,
        "poll_s": 1.0,
    }


def test_a_key_may_not_have_more_than_all():
    with pytest.raises(ValidationError, match="max_in_all 100 is under max_per_key 101"):
        BackgroundSettings(max_in_all=100, max_per_key=101)


def test_a_misspelled_key_is_named():
    with pytest.raises(ValidationError, match="at_onec"):
        BackgroundSettings(at_onec=1)
