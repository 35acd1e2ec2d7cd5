"""The values that cross deployment handles: frozen and picklable.

The wire models of `ingress.http.schemas` are converted to these once, at the edge. From there on
they are valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from deployments.composition import AS_THE_PHOTO, SCENE, Canvas, Placement, Shadow
from deployments.loras import Lora

Pixels = npt.NDArray[np.uint8]
"""RGB pixels: uint8 [height, width, 3], sRGB, 0 to 255."""

Mask = npt.NDArray[np.uint8]
"""One channel: uint8 [height, width], 0 to 255. Where it is used it is said what 255 means."""

Preserve = Literal["auto", "true", "false"]
"""Whether the product is kept: if there is one, or else it is an error, or not at all."""

SIDE_STEP = 16
"""Both sides of a working size are multiples of this."""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A clean picture: an upload after decoding, or one of our own results.

    Attributes:
        pixels: uint8 [height, width, 3], sRGB; transparency is already flattened over white.
        alpha: uint8 [height, width], 255 where the picture was opaque; None if it was all opaque.
        full_size: Width and height of the upright file where it was decoded smaller, or None.
        file_sha256: SHA-256 of the upload's file as it was sent, in hex; None where it is unknown.
    """

    pixels: Pixels
    alpha: Mask | None = None
    full_size: tuple[int, int] | None = None
    file_sha256: str | None = None

    @property
    def file_size(self) -> tuple[int, int]:
        """Width and height of the upright file in pixels."""
        height, width = self.pixels.shape[:2]
        return self.full_size or (width, height)


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """The product of a photo, cut out at the resolution of results.

    Attributes:
        pixels: uint8 [height, width, 3]: the photo's own where alpha is 255. Where alpha is less,
            the product's colour without the background.
        alpha: uint8 [height, width]: 255 where the product covers the pixel, 0 where it does not.
        found: Whether a search marked it, and no caller's mask or transparency.
        warnings: Sentences about what may be wrong with it.
        certainty: How sure the search is of it, 0 to 1; 1 where a mask or transparency says it.
    """

    pixels: Pixels
    alpha: Mask
    found: bool = False
    warnings: tuple[str, ...] = ()
    certainty: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Hints:
    """What a caller says about a product, to correct what was found.

    Attributes:
        keep: Strokes, uint8 [height, width] at the photo's size or at any other with its aspect
            ratio: 128 and over belongs to the product. None without any.
        remove: Strokes of the same kind: 128 and over does not belong to it.
        points: Places that belong to the product: shares of width and height, 0 to 1.
    """

    keep: Mask | None = None
    remove: Mask | None = None
    points: tuple[tuple[float, float], ...] = ()

    @property
    def given(self) -> bool:
        """Whether there are any."""
        return self.keep is not None or self.remove is not None or bool(self.points)


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How true a result is to the product.

    Attributes:
        pixels: Share of the product's pixels that differ from the photo by at most 1/255, 0 to 1.
        shape: The product's area divided by its area together with what the scene adds to it, over
            0 to 1. It is lower when the scene grows onto the product.
    """

    pixels: float
    shape: float


@dataclass(frozen=True, slots=True, eq=False)
class PreparedPhoto:
    """A photo fitted to a model's working size.

    Attributes:
        pixels: uint8 [height, width, 3] at the working size; both sides are multiples of SIDE_STEP.
        mask: uint8 [height, width]: 255 where the model paints, 0 where it keeps the photo; None
            lets it paint everywhere.
        references: What an editing model looks at beside it: uint8 [height, width, 3] each, at the
            working size of its own aspect. Other models get none.
    """

    pixels: Pixels
    mask: Mask | None = None
    references: tuple[Pixels, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What a photo is made ready for.

    Attributes:
        size: The model's nominal side in pixels; None where no model paints.
        canvas: What the request says of the picture.
        placement: Where the photo of the product lies in the result that is varied; None in its
            own frame. `canvas` goes before it.
        varied: Whether the photo is a result that is varied, and not the upload.
        shows_first: Whether the model is shown the first photo of a conversation beside a result
            that is varied.
        opaque_photo: Whether the photo of the product came without transparency; None where that is
            not known.
        background: As of a `Look`.
        picture: uint8 [height, width, 3] of any size: what background `image` shows; else None.
        style: What an editing model looks at beside the photo; None without one.
        shadow: What the request itself asks for; None where it says nothing.
    """

    size: int | None
    canvas: Canvas = AS_THE_PHOTO
    placement: Placement | None = None
    varied: bool = False
    shows_first: bool = False
    opaque_photo: bool | None = None
    background: str = SCENE
    picture: Pixels | None = None
    style: Photo | None = None
    shadow: Shadow | None = None

    @property
    def style_sha256(self) -> str | None:
        """SHA-256 of the file of `style`, in hex; None without one."""
        return None if self.style is None else self.style.file_sha256

    @property
    def reads_photo(self) -> bool:
        """Whether the photo's own pixels are looked at, and not only those of its product."""
        return self.size is not None or self.background == "blur"

    @property
    def needs_product(self) -> bool:
        """Whether it cannot be followed without a product."""
        return self.background != SCENE or self.canvas.needs_product


@dataclass(frozen=True, slots=True, eq=False)
class OpenedPhoto:
    """A photo made ready for one model, and the product in it.

    Attributes:
        prepared: The photo at the model's working size; None where no model paints.
        product: What is kept, where it lies in the result and at that size; None lets the model
            paint everywhere.
        warnings: Sentences for the caller.
        cut: The same product in its photo's frame, as it is stored; None where that is `product`.
        placement: Where the photo of the product lies in the result; None in its own frame.
        backdrop: uint8 [height, width, 3] at the result's size: what is behind the product where no
            model paints, and no one colour; else None.
    """

    prepared: PreparedPhoto | None
    product: Product | None
    warnings: tuple[str, ...] = ()
    cut: Product | None = None
    placement: Placement | None = None
    backdrop: Pixels | None = None


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """What a request decides about one image.

    Attributes:
        prompt: What the picture must show.
        negative_prompt: What it must not show; empty for nothing.
        seed: Seed of the noise, 0 to 2**32 - 1.
        steps: Scheduler steps of a full run; strength decides how many of them are taken.
        guidance_scale: Classifier-free guidance; 1 or less means none.
        strength: How far from the photo to start, above 0 to 1.
        lora: The one of the model's LoRAs that is beside its weights; None without.
    """

    prompt: str
    negative_prompt: str
    seed: int
    steps: int
    guidance_scale: float
    strength: float
    lora: Lora | None = None

    @property
    def denoising_steps(self) -> int:
        """`steps` times `strength`, rounded down as diffusers does; with 0 a job cannot run."""
        return min(int(self.steps * self.strength), self.steps)


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """How a model uses its ControlNet; a model without one ignores it.

    Attributes:
        scale: How strongly the ControlNet counts, 0 to 2; 0 leaves it out.
        start: Share of the denoising steps after which it begins, 0 to 1.
        end: Share of the denoising steps after which it ends, over `start` to 1.
    """

    scale: float = 1.0
    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True, slots=True)
class ImageJob:
    """One image to make: the unit of batching, retry, cancel, progress and delivery.

    Attributes:
        key: The object key of the result, chosen before the work starts.
        settings: What to make.
    """

    key: str
    settings: GenerationSettings


@dataclass(frozen=True, slots=True)
class Progress:
    """A job has taken a step.

    Attributes:
        step: Denoising steps that are done, 0 to `steps`.
        steps: Denoising steps that this job takes.
    """

    step: int
    steps: int


@dataclass(frozen=True, slots=True, eq=False)
class GeneratedImage:
    """The image that a model made.

    Attributes:
        pixels: uint8 [height, width, 3] at the working size.
        engine_s: Seconds between submission and these pixels.
        weights: Where the weights came from, with their revision.
        control: How the model uses its ControlNet.
        warnings: Sentences about what the model could not honour, usually none.
    """

    pixels: Pixels
    engine_s: float
    weights: str
    control: ControlSettings = ControlSettings()
    warnings: tuple[str, ...] = ()
