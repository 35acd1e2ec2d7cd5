"""The simulated day: what comes is made, refused or waits, and replicas come when Serve asks."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import pytest

from tests.k8s.manifests import K8S


@pytest.fixture(scope="module")
def day() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(K8S)
        return importlib.import_module("day")


def even(day: ModuleType, **changes: Any) -> Any:
    """A plan whose hours are alike, of one replica that makes an image a second."""
    given = {"mean": 0.5, "rate": 1.0, "least": 1, "most": 1, "swing": 0.0, "spike": 1.0}
    return day.Plan(**{**given, **changes})


def test_arrivals_are_the_hours(day: ModuleType) -> None:
    plan = day.Plan(mean=20.0, rate=1.0, least=1, most=1)
    asked = day.arrivals(plan)
    quiet, busy = asked[4 * 3600 : 4 * 3600 + 600], asked[16 * 3600 : 16 * 3600 + 600]
    assert quiet.mean() == pytest.approx(4, rel=0.1)
    assert busy.mean() == pytest.approx(36, rel=0.1)
    before, spike = asked[43_200 - 600 : 43_200], asked[43_200:43_800]
    assert spike.mean() == pytest.approx(2 * before.mean(), rel=0.1)


def test_with_room_for_all_nobody_is_refused_and_replicas_stay(day: ModuleType) -> None:
    found = day.simulate(even(day, least=20, most=20))
    assert found.refused == 0
    assert found.waits == (0, 0, 0)
    assert found.replica_hours == 24 * 20
    assert found.peak == 20


def test_twice_too_much_is_refused_by_half_and_the_rest_waits_its_time(day: ModuleType) -> None:
    found = day.simulate(even(day, mean=2.0, max_wait_s=10.0))
    assert found.refused / found.arrived == pytest.approx(0.5, abs=0.02)
    assert found.waits[0] == pytest.approx(9, abs=1)
    assert found.waits[2] <= 10


def test_without_a_bound_all_are_made_or_wait(day: ModuleType) -> None:
    found = day.simulate(even(day, mean=0.9, max_wait_s=1e9))
    assert found.refused == 0
    assert found.waits[1] > 3


def test_replicas_come_after_their_time_and_go_after_theirs(day: ModuleType) -> None:
    plan = even(day, mean=1.0, spike=6.0, least=2, most=20)
    found = day.simulate(plan)
    assert 2 < found.peak <= 20
    # Only the spike wants them: ten minutes of it, half an hour until they are let go.
    assert 24 * 2 < found.replica_hours < 24 * 2 + 20
    soon, late = (
        day.simulate(even(day, mean=1.0, spike=6.0, least=2, most=20, startup_s=seconds))
        for seconds in (10, 500)
    )
    assert soon.refused < late.refused


def test_the_readme_prints_the_table(day: ModuleType) -> None:
    readme = (K8S / "README.md").read_text().splitlines()
    for line in day.table(day.costs()[0].images_per_s(day.GPU)):
        assert line in readme, "copy the output of python k8s/day.py"
