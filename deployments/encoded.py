"""Pictures as files, as they cross deployment handles: to be stored, sent or shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from deployments.composition import Placement
from deployments.jobs import Fidelity


@dataclass(frozen=True, slots=True, eq=False)
class EncodedSources:
    """What images are made from, as it is stored.

    Attributes:
        photo: A file; None where the photo is stored already.
        product: A file; None where there is no product.
    """

    photo: bytes | None
    product: bytes | None


@dataclass(frozen=True, slots=True, eq=False)
class EncodedCutOut:
    """A product that was cut out, as it is shown and stored.

    Attributes:
        image: A PNG file, RGBA: what `EncodedSources` holds of a product.
        mask: A PNG file, grey: its alpha.
        width: Of both, in pixels.
        height: Of both, in pixels.
        box: Left, top, width and height in pixels of where alpha is 16 and more.
        certainty: How sure it is, 0 to 1, as of a `Product`.
        warnings: Sentences about what may be wrong with it.
    """

    image: bytes
    mask: bytes
    width: int
    height: int
    box: tuple[int, int, int, int]
    certainty: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FinishedImage:
    """An image as it is stored.

    Attributes:
        file: In the format that was asked for; empty if it is withheld.
        fidelity: How true it is to the product; None if no product was kept.
        withheld: Why the image must not be stored or delivered; None if it may be.
        width: In pixels.
        height: In pixels.
        placement: Where the photo of the product lies in it; None in its own frame.
    """

    file: bytes
    fidelity: Fidelity | None
    withheld: str | None = None
    width: int = 0
    height: int = 0
    placement: Placement | None = None


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A stored picture: a result, a smaller copy of one, or a picture of a cut-out.

    Attributes:
        file: The picture.
        media_type: Of the file, such as `image/png`.
        etag: A digest of the file, without quotes.
        modified: When the result was stored, timezone-aware, in UTC.
    """

    file: bytes
    media_type: str
    etag: str
    modified: datetime
