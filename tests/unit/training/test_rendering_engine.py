"""Rendering with Mitsuba, where it is installed: two pictures of 32 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.rendering import engine, looks, tone
from training.rendering.kinds import describe
from training.rendering.scene import Scene
from training.rendering.tone import Look

_MISSING = engine.available()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(_MISSING is not None, reason=f"no rendering here: {_MISSING}"),
]


def _podium() -> Scene:
    scene = describe("podium", 2, 0, Path("none"))
    scene.samples = 4
    return scene


def test_the_same_seed_gives_the_same_picture() -> None:
    engine.set_threads(1)
    first, again = (engine.render(_podium(), 5, 32) for _ in range(2))
    np.testing.assert_array_equal(first.colour, again.colour)
    np.testing.assert_array_equal(first.weights, again.weights)
    assert first.colour.shape == (32, 32, 3)
    assert first.shapes.max() <= len(_podium().groups)
    assert first.weights.sum(-1).max() <= 1 + 1e-6


def test_views_of_a_scene_show_it_from_elsewhere() -> None:
    first, second, third = engine.render_views(_podium(), 5, 3, 32)
    np.testing.assert_array_equal(first.colour, engine.render_views(_podium(), 5, 3, 32)[0].colour)
    apart = [
        float(np.abs(a.colour - b.colour).mean() / first.colour.mean())
        for a, b in ((first, second), (first, third), (second, third))
    ]
    assert min(apart) > 0.01
    for seen in (second, third):
        np.testing.assert_allclose(seen.colour.mean(), first.colour.mean(), rtol=0.3)


def test_a_pixel_is_cut_into_about_as_many_cells_as_it_has_samples() -> None:
    assert engine.grid(16) == (4, 4)
    assert engine.grid(1) == (1, 1)
    for samples in range(1, 80):
        columns, rows = engine.grid(samples)
        assert abs(columns * rows - samples) <= max(1, samples // 6)


def test_a_set_takes_the_colour_that_it_is_given() -> None:
    picture = engine.render(_podium(), 5, 32)
    facts = {"kind": "podium", "coloured": True, "seen": looks.seen_groups(picture)}
    colour = (0.18, 0.38, 0.8)
    look = Look(first=tone.to_linear(colour), second=tone.to_linear(colour))
    shown = looks.show(picture, facts, look)
    np.testing.assert_allclose(np.median(shown, (0, 1)), colour, atol=0.12)
