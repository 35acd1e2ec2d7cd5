"""What a request says of the picture around the product, and where the product lies in it.

Values only: the wire models of `ingress.http` are converted to these, and the studio follows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

PositionWord = Literal[
    "center",
    "top",
    "bottom",
    "left",
    "right",
    "top-left",
    "top-right",
    "bottom-left",
    "bottom-right",
]
Shadow = Literal["none", "contact", "cast", "floating"]
FileFormat = Literal["png", "jpeg", "webp"]

SUFFIXES: Mapping[FileFormat, str] = MappingProxyType({"png": "png", "jpeg": "jpg", "webp": "webp"})
"""How the URLs of results end, by their format."""
MEDIA_TYPES: Mapping[FileFormat, str] = MappingProxyType(
    {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
)
TILE_WIDTHS = (128, 256, 512, 1024)
"""Pixels: how wide the smaller copies of results are."""

SCENE = "scene"
"""The background that a model paints."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """The picture that a request wants, and where in it the product shall lie.

    With nothing given the product stays where it is, and the picture is as large as the photo.

    Attributes:
        size: Width and height in pixels; None where they follow from the rest.
        aspect: Width divided by height; None as above. Never together with `size`.
        padding: Share of the shorter side that stays free around the product, 0 to 0.49; with it
            the product is made as large as fits.
        position: Where the product's box lies in what the padding leaves, or the place of its
            middle as shares of width and height, 0 to 1; None keeps its share of the free space.
    """

    size: tuple[int, int] | None = None
    aspect: float | None = None
    padding: float | None = None
    position: PositionWord | tuple[float, float] | None = None

    @property
    def given(self) -> bool:
        """Whether anything is asked for."""
        return self != AS_THE_PHOTO

    @property
    def needs_product(self) -> bool:
        """Whether it says something of the product, and not only of the picture."""
        return self.padding is not None or self.position is not None


AS_THE_PHOTO = Canvas()
"""The canvas where a request says nothing of it."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a photo, with the product in it, lies on a canvas.

    Attributes:
        width: Of the canvas, in pixels.
        height: Of the canvas, in pixels.
        scale: Pixels of the canvas for one of the photo's.
        left: Where the photo's left border lies, in pixels of the canvas; negative outside. Whole
            where `scale` is 1.
        top: The same of its upper border.
    """

    width: int
    height: int
    scale: float
    left: float
    top: float


@dataclass(frozen=True, slots=True)
class Output:
    """The file of a result.

    Attributes:
        file_format: Its format.
        quality: Of `jpeg` and `webp`, 1 to 100; None for the format's default.
    """

    file_format: FileFormat = "png"
    quality: int | None = None


DEFAULT_OUTPUT = Output()


@dataclass(frozen=True, slots=True)
class Look:
    """How a result is composed around its product.

    Attributes:
        background: `scene`, `transparent`, `blur`, `image`, or a colour as `#RRGGBB`.
        shadow: What the product throws on the ground; None is `contact` before a scene and `none`
            before the rest.
        shadow_strength: How dark, 0 to 1; None for the service's default.
        harmonize: How far the product takes the scene's light, 0 to 1; 0 keeps its pixels.
        output: The file.
    """

    background: str = SCENE
    shadow: Shadow | None = None
    shadow_strength: float | None = None
    harmonize: float = 0.0
    output: Output = DEFAULT_OUTPUT

    @property
    def painted(self) -> bool:
        """Whether a model paints the background."""
        return self.background == SCENE

    @property
    def thrown(self) -> Shadow:
        """The shadow, with its default."""
        return self.shadow or ("contact" if self.painted else "none")


DEFAULT_LOOK = Look()
"""The look where a request says nothing of it."""
