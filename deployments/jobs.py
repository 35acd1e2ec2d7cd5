"""What crosses deployment handles: frozen, picklable values.

The wire models of `ingress.http.schemas` are converted to these once, at the edge. They are trusted
from there on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""RGB pixels: uint8 [height, width, 3], sRGB, 0 to 255."""

Mask = npt.NDArray[np.uint8]
"""One channel: uint8 [height, width], 0 to 255; what 255 means stands where it is used."""

SIDE_STEP = 16
"""Both sides of a working size are multiples of this: autoencoders shrink by up to as much."""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A clean picture: an upload after decoding, or one of our own results.

    Attributes:
        pixels: uint8 [height, width, 3], sRGB; transparency is already flattened over white.
        alpha: uint8 [height, width], 255 where the picture was opaque; None when all of it was.
    """

    pixels: Pixels
    alpha: Mask | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """The product of a photo, cut out at the photo's own resolution.

    Attributes:
        pixels: uint8 [height, width, 3]: the photo's own where alpha is 255; where it is less, the
            product's colour without what was behind it.
        alpha: uint8 [height, width]: 255 where the product covers all, 0 where it is not.
    """

    pixels: Pixels
    alpha: Mask


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How true a result is to the product.

    Attributes:
        pixels: Share of the product's opaque pixels that are the photo's within 1/255, 0 to 1.
        shape: Intersection over union of the product found again in the result and its mask.
    """

    pixels: float
    shape: float


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPhoto:
    """A photo fitted to a model's working size.

    Attributes:
        pixels: uint8 [height, width, 3] at the working size; both sides are multiples of SIDE_STEP.
        mask: uint8 [height, width]: 255 where the model shall paint, 0 where it shall keep the
            photo; None lets it paint everywhere.
    """

    pixels: Pixels
    mask: Mask | None = None


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
        control_scale: How strongly a ControlNet counts, 0 to 2; 0 leaves it out, and a model
            without one has no use for it.
        control_start: Share of the denoising steps after which the ControlNet begins, 0 to 1.
        control_end: Share of the denoising steps after which it ends, over control_start to 1.
    """

    key: str
    prompt: str
    negative_prompt: str
    seed: int
    steps: int
    guidance_scale: float
    strength: float
    control_scale: float = 1.0
    control_start: float = 0.0
    control_end: float = 1.0

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
class FinishedImage:
    """An image as it is stored.

    Attributes:
        png: The file; empty where it is withheld.
        fidelity: How true it is to the product; None where none was kept.
        withheld: Why the image must be neither stored nor delivered; None if it may be.
    """

    png: bytes
    fidelity: Fidelity | None
    withheld: str | None = None


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
        mask_key: The object key of the product of that upload, or of a later result in which one
            was found; None where there is none.
        fidelity: How true the result is to that product; None where it was not kept.
        version: Version of this package.
        created: ISO 8601 time in UTC.
        prompt: As in `ImageJob`, like the fields below.
        negative_prompt: See above.
        seed: See above.
        steps: See above.
        guidance_scale: See above.
        strength: See above.
        control_scale: See above.
        control_start: See above.
        control_end: See above.
    """

    model: str
    weights: str
    scheduler: str
    source: Literal["upload", "result"]
    source_key: str
    photo_key: str
    mask_key: str | None
    fidelity: Fidelity | None
    version: str
    created: str
    prompt: str
    negative_prompt: str
    seed: int
    steps: int
    guidance_scale: float
    strength: float
    control_scale: float
    control_start: float
    control_end: float

    def document(self) -> dict[str, object]:
        """Every field, for the JSON stored beside the image."""
        return asdict(self)

    def public(self) -> dict[str, str]:
        """The part anyone who holds the image may read, for its text chunks; fidelity as JSON."""
        shown = self.document()
        for private in ("weights", "source", "source_key", "photo_key", "mask_key"):
            del shown[private]
        shown["fidelity"] = json.dumps(shown["fidelity"])
        return {name: str(value) for name, value in shown.items()}
