"""Made-up products pasted on pictures, so that the autoencoder also learns sharp things.

Bottles, jars, boxes and cups with labels, gloss and a shadow. Only the autoencoder sees them: the
denoiser learns empty backdrops.
"""

import cv2
import numpy as np
import numpy.typing as npt

from training.loop import Rng

Pixels = npt.NDArray[np.uint8]
_WORDS = ("LUXE", "BIO", "No 5", "FRESH", "CAFE", "PURE", "Aqua", "NEW", "100%", "Rosa")


def _tone(rng: Rng) -> tuple[int, int, int]:
    r, g, b = rng.integers(0, 256, 3)
    return int(r), int(g), int(b)


def paste(rng: Rng, picture: Pixels) -> Pixels:
    """A copy of the picture [H, W, 3] with one to three products on it."""
    out = picture.copy()
    height, width = out.shape[:2]
    for _ in range(int(rng.integers(1, 4))):
        layer, mask = out.copy(), np.zeros((height, width), np.uint8)
        w, h = int(width * rng.uniform(0.12, 0.4)), int(height * rng.uniform(0.2, 0.6))
        x, y = int(rng.integers(-w // 3, width - w // 2)), int(rng.integers(0, height - h // 2))
        tone, kind = _tone(rng), int(rng.integers(4))
        if kind == 0:
            cv2.rectangle(mask, (x, y + h // 4), (x + w, y + h), 255, -1)
            cv2.rectangle(mask, (x + w // 3, y), (x + 2 * w // 3, y + h // 4), 255, -1)
        elif kind == 1:
            cv2.ellipse(mask, (x + w // 2, y + h // 2), (w // 2, h // 2), 0, 0, 360, 255, -1)
        elif kind == 2:
            corners = np.array(
                [[x, y], [x + w, y + h // 8], [x + w * 7 // 8, y + h], [x + w // 8, y + h]]
            )
            cv2.fillPoly(mask, [corners.astype(np.int32)], 255)
        else:
            cv2.rectangle(mask, (x, y), (x + w, y + h), 255, -1)
        layer[:] = tone
        cv2.rectangle(layer, (x, y + h // 2), (x + w, y + h * 3 // 4), _tone(rng), -1)
        at = (x + w // 8, y + h * 2 // 3)
        word = _WORDS[int(rng.integers(len(_WORDS)))]
        cv2.putText(layer, word, at, cv2.FONT_HERSHEY_SIMPLEX, w / 90, _tone(rng), 2, cv2.LINE_AA)
        column = np.linspace(-1, 1, max(w, 2)) + rng.uniform(-0.6, 0.6)
        gloss = np.ones(width)
        left, right = max(x, 0), min(x + w, width)
        gloss[left:right] = (1.15 - 0.6 * column**2)[left - x : right - x]
        shadow = (
            cv2.GaussianBlur(np.roll(mask, (6, 10), (0, 1)), (0, 0), 7).astype(np.float32) / 255
        )
        under = out * (1 - 0.45 * shadow)[..., None]
        alpha = cv2.GaussianBlur(mask, (0, 0), 0.7).astype(np.float32)[..., None] / 255
        lit = np.clip(layer * gloss[None, :, None], 0, 255)
        out = (under * (1 - alpha) + lit * alpha).astype(np.uint8)
    return out
