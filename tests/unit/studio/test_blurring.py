"""A blur that is drawn smaller is the blur all the same."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from deployments.studio.blurring import blurred


@pytest.mark.parametrize("across", [0.6, 2.9, 9, 40])
@pytest.mark.parametrize("down", [0.6, 3.1, 17])
def test_it_is_a_gaussian(across: float, down: float) -> None:
    dark = np.zeros((211, 307), np.float32)
    dark[60:120, 90:230] = 1
    exact = cv2.GaussianBlur(dark, (0, 0), across, sigmaY=down, borderType=cv2.BORDER_REPLICATE)
    assert np.abs(blurred(dark, across, down) - exact).max() < 0.02


def test_one_pixel_is_enough() -> None:
    assert blurred(np.ones((1, 1), np.float32), 9, 9).item() == pytest.approx(1)
