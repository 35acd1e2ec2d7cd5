"""Wire fields of the picture around the product: canvas, background, ground, light and file.

Both POST endpoints share them, in forms and in JSON alike. A preset fills in what a request leaves
out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, cast, get_args

from pydantic import BaseModel, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from deployments.composition import (
    SCENE,
    Canvas,
    FileFormat,
    Look,
    Output,
    PositionWord,
    Shadow,
)
from deployments.errors import InvalidRequest
from deployments.presets import PresetFields

LEAST_SIDE = 64
"""Pixels: the shortest side of a canvas."""

_SHARE = r"(?:0|1|0?\.[0-9]{1,10}|1\.0{1,10})"
_NUMBER = r"[0-9]{1,5}(?:\.[0-9]{1,5})?"
_WORDS = "|".join(get_args(PositionWord))

SIZE = r"^(?:auto|[1-9][0-9]{0,4}x[1-9][0-9]{0,4})$"
ASPECT_RATIO = rf"^(?:auto|{_NUMBER}:{_NUMBER})$"
POSITION = rf"^(?:auto|{_WORDS}|{_SHARE},{_SHARE})$"
BACKGROUND = r"^(?:scene|transparent|blur|image|#[0-9A-Fa-f]{6})$"

FORMS = {
    "size": "auto or WIDTHxHEIGHT in pixels, such as 1000x1000",
    "aspect_ratio": "auto or W:H, such as 4:5",
    "product_position": f"auto, one of {', '.join(get_args(PositionWord))}, or X,Y with shares of "
    "width and height from 0 to 1",
    "background": "scene, transparent, blur, image, or a colour as #RRGGBB",
}
"""What the fields that are texts of a form must be, by their name."""

_EITHER = {"size": "aspect_ratio", "aspect_ratio": "size"}
"""What a request's own field puts out of a preset."""


class LookFields(BaseModel):
    """The fields; `canvas` and `look` are what the use cases take."""

    max_side: ClassVar[int] = 1536
    max_aspect: ClassVar[float] = 8.0
    presets: ClassVar[Mapping[str, PresetFields]] = {}

    preset: str | None = Field(
        None,
        description="The name of a set of fields, as listed by GET /api/models; fields of the "
        "request go before it.",
    )
    background: str = Field(
        SCENE,
        pattern=BACKGROUND,
        description="`scene` is painted by the model, from the prompt. The others need neither: "
        "`transparent`, a colour as `#RRGGBB`, `blur` of the photo's own background, or `image` "
        "with the file background_image.",
        examples=[SCENE, "#FFFFFF"],
    )
    size: str = Field(
        "auto",
        pattern=SIZE,
        description="Width and height of the result in pixels, `WIDTHxHEIGHT`; not together with "
        "aspect_ratio.",
        examples=["auto", "1000x1000"],
    )
    aspect_ratio: str = Field(
        "auto",
        pattern=ASPECT_RATIO,
        description="Shape of the result, `W:H`: the photo is cut or extended around the product.",
        examples=["auto", "4:5"],
    )
    padding: float | None = Field(
        None,
        ge=0,
        le=0.49,
        description="Share of the shorter side that stays free around the product, which is made "
        "as large as fits.",
        examples=[0.1],
    )
    product_position: str = Field(
        "auto",
        pattern=POSITION,
        description="Where the product lies: a word such as `center` or `bottom`, or `X,Y`, the "
        "place of its middle as shares of width and height.",
        examples=["auto", "bottom"],
    )
    shadow: Shadow | None = Field(
        None,
        description="What the product throws on the ground; `contact` before a scene and `none` "
        "before other backgrounds if absent.",
        examples=["contact"],
    )
    shadow_strength: float | None = Field(
        None,
        ge=0,
        le=1,
        description="How dark the shadow is; the service's default if absent.",
        examples=[0.75],
    )
    harmonize: float = Field(
        0.0,
        ge=0,
        le=1,
        description="How far the product takes the scene's light and colour; 0 keeps its pixels.",
    )
    output_format: FileFormat = Field(
        "png", description="The file format of the results.", examples=["jpeg"]
    )
    output_quality: int | None = Field(
        None,
        ge=1,
        le=100,
        description="Of `jpeg` (90 if absent) and `webp` (85).",
        examples=[90],
    )

    @model_validator(mode="before")
    @classmethod
    def _filled_in(cls, data: Any) -> Any:  # noqa: ANN401 - whatever was sent
        """Fill in the preset's fields that the request leaves out."""
        if not isinstance(data, Mapping):
            return data
        preset = data.get("preset")
        fields = cls.presets.get(preset, {}) if isinstance(preset, str) else {}
        left = {name: value for name, value in fields.items() if _EITHER.get(name) not in data}
        return {**left, **data}

    @field_validator("preset")
    @classmethod
    def _known(cls, preset: str | None) -> str | None:
        if preset is not None and preset not in cls.presets:
            known = ", ".join(cls.presets) or "none is configured"
            raise PydanticCustomError("unknown_preset", "one of: {known}", {"known": known})
        return preset

    @field_validator("size")
    @classmethod
    def _within(cls, size: str) -> str:
        if size == "auto":
            return size
        width, height = _sides(size)
        if not min(width, height) >= LEAST_SIDE or max(width, height) > cls.max_side:
            raise PydanticCustomError(
                "size_range",
                "auto or have sides of {least} to {most} pixels",
                {"least": LEAST_SIDE, "most": cls.max_side},
            )
        cls._check_shape(width / height)
        return size

    @field_validator("aspect_ratio")
    @classmethod
    def _of_some_area(cls, ratio: str) -> str:
        if ratio == "auto":
            return ratio
        width, height = map(float, ratio.split(":"))
        if not width or not height:
            raise PydanticCustomError("aspect_range", "a ratio of numbers over 0")
        cls._check_shape(width / height)
        return ratio

    @classmethod
    def _check_shape(cls, aspect: float) -> None:
        if max(aspect, 1 / aspect) > cls.max_aspect:
            raise PydanticCustomError(
                "aspect_range",
                "no longer than {most}:1 in either direction",
                {"most": f"{cls.max_aspect:g}"},
            )

    def canvas(self) -> Canvas:
        """What is asked of the picture's size, and of the product's place in it.

        Raises:
            InvalidRequest: Size and aspect ratio are both given.
        """
        if self.size != "auto" and self.aspect_ratio != "auto":
            raise InvalidRequest("size and aspect_ratio each say the picture's shape: send one")
        aspect = None
        if self.aspect_ratio != "auto":
            wide, high = map(float, self.aspect_ratio.split(":"))
            aspect = wide / high
        return Canvas(
            size=None if self.size == "auto" else _sides(self.size),
            aspect=aspect,
            padding=self.padding,
            position=_position(self.product_position),
        )

    def look(self, *, pictured: bool) -> Look:
        """How the result is composed.

        Args:
            pictured: Whether a background_image was sent.

        Raises:
            InvalidRequest: Fields contradict each other.
        """
        if pictured and self.background != "image":
            raise InvalidRequest(
                "background_image is the picture of background=image: send both or none"
            )
        if self.background == "image" and not pictured:
            raise InvalidRequest("background_image is required with background=image")
        if self.background == "transparent":
            self._check_transparent()
        if self.output_quality is not None and self.output_format == "png":
            raise InvalidRequest(
                "output_quality: png keeps everything; it is for output_format jpeg and webp"
            )
        look = Look(
            background=self.background,
            shadow=self.shadow,
            shadow_strength=self.shadow_strength,
            harmonize=self.harmonize,
            output=Output(self.output_format, self.output_quality),
        )
        if look.thrown == "none" and self.shadow_strength is not None:
            raise InvalidRequest(
                "shadow_strength: no shadow is thrown; choose contact, cast or floating with shadow"
            )
        return look

    def _check_transparent(self) -> None:
        if self.output_format == "jpeg":
            raise InvalidRequest(
                "output_format: jpeg has no transparency; background=transparent needs png or webp"
            )
        if self.harmonize:
            raise InvalidRequest("harmonize: background=transparent has no light to take")


def _sides(size: str) -> tuple[int, int]:
    width, height = size.split("x")
    return int(width), int(height)


def _position(text: str) -> PositionWord | tuple[float, float] | None:
    if text == "auto":
        return None
    if re.fullmatch(_WORDS, text):
        return cast("PositionWord", text)
    x, y = text.split(",")
    return float(x), float(y)
