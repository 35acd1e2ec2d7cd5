"""Colours given after rendering are those that rendering would have given."""

from __future__ import annotations

import numpy as np
import pytest

from training.rendering import tone
from training.rendering.materials import LEVELS
from training.rendering.tone import Look


def _lit(reflectance: np.ndarray, light: float) -> np.ndarray:
    """A surface with gloss and light thrown back and forth once."""
    return np.asarray(light * reflectance * (1 + 0.3 * reflectance) + 0.02, np.float32)


def test_light_at_three_reflectances_gives_it_at_any_other() -> None:
    levels = np.asarray(LEVELS)
    seen = np.stack([_lit(levels, 0.4), _lit(levels, 1.1)])[None]
    wanted = (0.5, 0.02, 0.91)
    out = tone.at_reflectance(seen.astype(np.float32), wanted)
    expected = np.stack([_lit(np.asarray(wanted), 0.4), _lit(np.asarray(wanted), 1.1)])[None]
    np.testing.assert_allclose(out, expected, atol=2e-5)


def test_each_group_gets_its_own_colour_and_the_rest_keeps_its_own() -> None:
    levels = np.asarray(LEVELS, np.float32)
    own = np.array([0.3, 0.5, 0.1], np.float32)
    colour = np.stack([levels, levels, own, np.full(3, 0.9, np.float32)])[None]
    albedo = np.stack([levels, levels, own, np.full(3, 0.9, np.float32)])[None]
    weights = np.zeros((1, 4, 4), np.float32)
    weights[0, 0, 0] = weights[0, 1, 1] = weights[0, 3, 2] = 1
    look = Look(first=(0.7, 0.2, 0.1), second=(0.1, 0.2, 0.7), metal=(1.0, 0.7, 0.3))
    out = tone.recolour(colour, albedo, weights, look)[0]
    np.testing.assert_allclose(out[0], look.first, atol=1e-3)
    np.testing.assert_allclose(out[1], look.second, atol=1e-3)
    np.testing.assert_allclose(out[2], own, atol=1e-3)
    np.testing.assert_allclose(out[3], 0.9 * np.asarray(look.metal), atol=1e-3)


def test_screen_and_linear_light_are_each_others_inverse() -> None:
    for value in (0.0, 0.02, 0.2, 0.5, 1.0):
        there = np.array(tone.to_linear((value, value, value)), np.float32)
        np.testing.assert_allclose(tone.to_screen(there), value, atol=1e-6)


def test_exposure_shows_a_surface_as_bright_as_its_reflectance() -> None:
    rng = np.random.default_rng(0)
    albedo = rng.uniform(0.1, 0.9, (16, 16, 1)).repeat(3, -1).astype(np.float32)
    weights = np.zeros((16, 16, 4), np.float32)
    weights[..., 0] = 1
    assert tone.exposure(albedo * 0.25, albedo, weights) == pytest.approx(4.0, rel=1e-3)


def test_balance_takes_a_cast_away_by_its_strength() -> None:
    cast = np.broadcast_to(np.array([0.2, 0.3, 0.4], np.float32), (4, 4, 3))
    full = tone.balanced(cast, 1.0).mean((0, 1))
    np.testing.assert_allclose(full, 0.3, atol=1e-5)
    half = tone.balanced(cast, 0.5).mean((0, 1))
    assert 0.2 < half[0] < full[0]
    np.testing.assert_array_equal(tone.balanced(cast, 0.0), cast)


def test_development_keeps_to_the_screen_and_mirrors() -> None:
    rng = np.random.default_rng(1)
    linear = rng.exponential(0.5, (8, 8, 3)).astype(np.float32)
    plain = tone.develop(linear, 1.0, Look())
    assert plain.min() >= 0
    assert plain.max() <= 1
    np.testing.assert_array_equal(tone.develop(linear, 1.0, Look(mirrored=True)), plain[:, ::-1])
    assert tone.develop(linear, 1.0, Look(gain=0.5)).mean() < plain.mean()
