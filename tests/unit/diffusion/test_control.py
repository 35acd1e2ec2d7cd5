from __future__ import annotations

import numpy as np

from deployments.diffusion.families.sd.control_maps import OUTLINE, canny, of_kept


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


def test_a_map_keeps_the_product_with_its_outline_and_loses_the_rest() -> None:
    control = np.full((64, 64, 3), 255, dtype=np.uint8)
    mask = np.full((64, 64), 255, dtype=np.uint8)
    mask[20:40, 24:48] = 0
    kept = of_kept(control, mask)
    reach = np.zeros((64, 64), dtype=bool)
    reach[20 - OUTLINE : 40 + OUTLINE, 24 - OUTLINE : 48 + OUTLINE] = True
    assert (kept[reach] == 255).all()
    assert not kept[~reach].any()
    assert kept.dtype == np.uint8


def test_a_map_of_what_is_painted_everywhere_is_black() -> None:
    control = np.full((32, 32, 3), 255, dtype=np.uint8)
    assert not of_kept(control, np.full((32, 32), 128, dtype=np.uint8)).any()
    assert of_kept(control, np.full((32, 32), 127, dtype=np.uint8)).all()


def test_the_outline_of_a_product_survives() -> None:
    pixels = np.zeros((64, 64, 3), dtype=np.uint8)
    pixels[20:40, 24:48] = 255
    mask = np.where(pixels[..., 0] == 255, 0, 255).astype(np.uint8)
    assert np.array_equal(of_kept(canny(pixels), mask), canny(pixels))
