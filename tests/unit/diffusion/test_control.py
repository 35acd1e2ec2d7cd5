from __future__ import annotations

import numpy as np

from deployments.diffusion.control import canny


def test_canny_draws_the_outline_of_a_square() -> None:
    pixels = np.zeros((64, 96, 3), dtype=np.uint8)
    pixels[16:48, 32:64] = (250, 20, 20)
    edges = canny(pixels)
    assert edges.shape == pixels.shape
    assert edges.dtype == np.uint8
    assert set(np.unique(edges)) == {0, 255}
    assert (edges[..., 0] == edges[..., 1]).all()
    assert (edges[..., 0] == edges[..., 2]).all()
    assert edges[20:44, 30:34].any(axis=1).all()
    assert not edges[20:44, 36:60].any()


def test_canny_leaves_a_faint_edge_out() -> None:
    pixels = np.full((32, 32, 3), 100, dtype=np.uint8)
    pixels[:, 16:] = 110
    assert not canny(pixels).any()


def test_canny_takes_a_view() -> None:
    pixels = np.zeros((32, 32, 3), dtype=np.uint8)
    pixels[:, 16:] = 255
    assert np.array_equal(canny(pixels[:, ::-1]), canny(pixels[:, ::-1].copy()))
