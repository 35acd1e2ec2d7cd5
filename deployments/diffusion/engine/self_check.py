"""Sees that a model computes on its device as it must, before its replica takes requests.

Two jobs at different times of their denoising, with different LoRAs where requests choose them, are
predicted in one forward pass and each alone, and where networks are compiled, also by the plain
ones. All must agree but for rounding. The engine's promise, that a job's image does not depend on
what runs beside it, rests on that.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from deployments.diffusion.compute.networks import OutOfMemory
from deployments.diffusion.engine.denoising import DiffusionModel
from deployments.diffusion.weights.sources import WeightsError
from deployments.jobs import GenerationSettings, ImageJob, PreparedPhoto
from deployments.loras import Lora
from deployments.settings import ModelSettings

logger = logging.getLogger(__name__)

CHECKED = ("cuda",)
"""Kinds of devices on which it is done: elsewhere the tests have done it on the same code."""

ROUNDING = {torch.float32: 0.01, torch.float16: 0.03, torch.bfloat16: 0.1}
"""How far two predictions may lie apart by rounding: root mean square of the difference, as a share
of that of the prediction. That of float32 has room for the tensor cores' short factors (TF32)."""

_FEWEST_STEPS = 4


def self_check(
    model: DiffusionModel[Any],
    plain: DiffusionModel[Any] | None,
    settings: ModelSettings,
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """Compare predictions, where the device is one of CHECKED.

    It takes six forward passes of at most two rows, and compiled networks compile their shapes.

    Args:
        model: What the engine will run.
        plain: The same weights without compiled networks; None where nothing is compiled.
        settings: The model's entry in the catalog.
        device: Where it runs.
        dtype: Of its networks.

    Raises:
        WeightsError: Predictions disagree or are not finite; it names the setting to change.
    """
    if device.type not in CHECKED:
        return
    begun = time.monotonic()
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    number = str(dtype).removeprefix("torch.")
    where = f"in {number} on {card}"
    photo = _photo(settings.size)
    # Of LoRAs that requests choose, the first and the second, or none.
    loras = [Lora(name, 1.0) for name in settings.request_loras]
    jobs = [
        _job(settings, seed, strength, lora)
        for seed, strength, lora in zip((1, 2), (1.0, 0.5), [*loras, None, None], strict=False)
    ]
    try:
        apart = _apart(plain or model, photo, jobs)
        compiled = apart if plain is None else _against(model, plain, photo, jobs)
    except OutOfMemory:
        raise WeightsError(
            f"size: two rows of {settings.size} pixels of model {settings.id} do not fit into the "
            f"memory of {card}; set a smaller size"
        ) from None
    if not np.isfinite(apart):
        raise WeightsError(
            f"dtype: model {settings.id} predicts numbers that are not finite {where}; set dtype: "
            f"{'bfloat16 or float32' if dtype == torch.float16 else 'float32'}"
        )
    if apart > ROUNDING[dtype]:
        raise WeightsError(
            f"dtype: two rows of model {settings.id} in one forward pass are {apart:.1%} from each "
            f"alone {where}, which is more than rounding; set another dtype"
        )
    if not compiled <= ROUNDING[dtype]:
        raise WeightsError(
            f"compile: the compiled networks of model {settings.id} are {compiled:.1%} from the "
            f"plain ones {where}, which is more than rounding; set compile: false"
        )
    logger.info(
        "model %s: rows together are %.2g from each alone %s, checked in %.1f s",
        settings.id,
        max(apart, compiled),
        where,
        time.monotonic() - begun,
    )


def _apart(model: DiffusionModel[Any], photo: PreparedPhoto, jobs: Sequence[ImageJob]) -> float:
    """How far jobs together are from each alone; NaN where a prediction is not finite."""
    states = [model.prepare(job, photo) for job in jobs]
    alone = [model.predict([state])[0] for state in states]
    return _difference(model.predict(states), alone)


def _against(
    model: DiffusionModel[Any],
    plain: DiffusionModel[Any],
    photo: PreparedPhoto,
    jobs: Sequence[ImageJob],
) -> float:
    """How far a model's predictions are from those of the plain one, together and alone."""
    states = [model.prepare(job, photo) for job in jobs]
    expected = [plain.predict([state])[0] for state in states]
    alone = [model.predict([state])[0] for state in states]
    return max(
        _difference(alone, expected), _difference(model.predict(states), expected), key=_not_finite
    )


def _not_finite(difference: float) -> float:
    """Sorts NaN to the end."""
    return difference if np.isfinite(difference) else np.inf


def _difference(found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> float:
    """The greatest relative difference, by root mean squares."""
    shares = []
    for one, other in zip(found, expected, strict=True):
        exact = other.double()
        off, whole = (one.double() - exact).square().mean(), exact.square().mean()
        shares.append(float(torch.sqrt(off / whole)))
    return max(shares, key=_not_finite)


def _photo(size: int) -> PreparedPhoto:
    """A picture with detail everywhere, of which the model paints the left half."""
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    mask = np.zeros((size, size), np.uint8)
    mask[:, : size // 2] = 255
    return PreparedPhoto(pixels, mask)


def _job(settings: ModelSettings, seed: int, strength: float, lora: Lora | None) -> ImageJob:
    """A job without guidance, which would multiply what rounding leaves."""
    prompt = ("a white studio", "a forest at night")[seed % 2]
    steps = max(settings.steps, _FEWEST_STEPS)
    made = GenerationSettings(prompt, "", seed, steps, 1.0, strength, lora)
    return ImageJob(f"check-{seed}", made)
