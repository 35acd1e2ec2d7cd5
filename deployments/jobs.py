"""What crosses deployment handles: frozen, picklable values.

Knows no HTTP, Ray or torch. Wire models live in `ingress.schemas`; these are converted from them
once, at the edge, and are trusted from there on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""RGB pixels: uint8 [height, width, 3], sRGB, 0 to 255."""

SIDE_STEP = 16
"""Both sides of a working size are multiples of this: autoencoders shrink by up to as much."""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A clean picture: an upload after decoding, or one of our own results.

    Attributes:
        pixels: uint8 [height, width, 3], sRGB; transparency is already flattened.
    """

    pixels: Pixels


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPhoto:
    """A photo fitted to a model's working size.

    Attributes:
        pixels: uint8 [height, width, 3] at the working size; both sides are multiples of SIDE_STEP.
    """

    pixels: Pixels


@dataclass(frozen=True, slots=True)
class ImageJob:
    """One image to make: the unit of batching, retry, cancel, progress and delivery.

    Attributes:
        key: The object key of the result, chosen before the work starts.
        prompt: What the picture shall show.
        negative_prompt: What it shall not show; empty for nothing.
        seed: Seed of the noise, 0 to 2**32 - 1.
        steps: Scheduler steps of a full run; strength decides how many of them are taken.
        guidance_scale: Classifier-free guidance; 1 or less means none.
        strength: How far from the photo to start, above 0 to 1.
    """

    key: str
    prompt: str
    negative_prompt: str
    seed: int
    steps: int
    guidance_scale: float
    strength: float

    @property
    def denoising_steps(self) -> int:
        """Steps that strength leaves of `steps`, rounded down as diffusers does; 0 cannot run."""
        return min(int(self.steps * self.strength), self.steps)


@dataclass(frozen=True, slots=True)
class Progress:
    """A job advanced.

    Attributes:
        step: Denoising steps done, 0 to steps.
        steps: Denoising steps this job takes.
    """

    step: int
    steps: int


@dataclass(frozen=True, slots=True, eq=False)
class GeneratedImage:
    """What a model made of a job.

    Attributes:
        pixels: uint8 [height, width, 3] at the working size.
        queued_s: Seconds between submission and the first denoising step.
        engine_s: Seconds between submission and these pixels.
        weights: Where the weights came from, with their revision.
        warnings: Sentences about what the model could not honour, usually none.
    """

    pixels: Pixels
    queued_s: float
    engine_s: float
    weights: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A stored result.

    Attributes:
        png: The file.
        etag: A digest of the file, without quotes.
        modified: When it was stored, aware, in UTC.
    """

    png: bytes
    etag: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a result was made: enough to make it again.

    Attributes:
        model: Catalog id.
        weights: Where the weights came from, with their revision.
        scheduler: Scheduler name of the catalog.
        source: What the image was made from: an upload or one of our results.
        source_key: The object key of that source.
        photo_key: The object key of the upload at the root of the conversation.
        version: Version of this package.
        created: ISO 8601 time in UTC.
        prompt: As in `ImageJob`, like the fields below.
        negative_prompt: See above.
        seed: See above.
        steps: See above.
        guidance_scale: See above.
        strength: See above.
    """

    model: str
    weights: str
    scheduler: str
    source: Literal["upload", "result"]
    source_key: str
    photo_key: str
    version: str
    created: str
    prompt: str
    negative_prompt: str
    seed: int
    steps: int
    guidance_scale: float
    strength: float

    def document(self) -> dict[str, str | int | float]:
        """Every field, for the JSON stored beside the image."""
        return asdict(self)

    def public(self) -> dict[str, str]:
        """The part anyone who holds the image may read, for its text chunks."""
        private = {"weights", "source", "source_key", "photo_key"}
        return {name: str(value) for name, value in self.document().items() if name not in private}
