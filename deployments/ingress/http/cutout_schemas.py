"""Wire models of POST /api/cutout."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import File, UploadFile
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from deployments.ingress.http.forms import without_nulls
from deployments.ingress.http.schemas import EXAMPLE_ID, EXAMPLE_URL, IMAGE_FORMATS, CutOutId

MOST_POINTS = 32

_SHARE = r"(0|1|0?\.[0-9]{1,20}|1\.0{1,20})"
_POINT = f"{_SHARE},{_SHARE}"

Points = Annotated[
    str, StringConstraints(pattern=f"^{_POINT}(;{_POINT}){{0,{MOST_POINTS - 1}}}$", max_length=2000)
]
"""`x,y`, or several of them joined by `;`."""

_STROKES = (
    f"Strokes in white on black: {IMAGE_FORMATS}, grey, of the photo's size or of another with its "
    "aspect ratio. What they touch "
)


class _Asked(BaseModel):
    """The fields of both kinds of body."""

    model_config = ConfigDict(extra="forbid")

    image_url: str | None = Field(
        None,
        description="The URL of an image made here: the photo that its conversation began with is "
        "cut again.",
        examples=[EXAMPLE_URL],
    )
    cutout: CutOutId | None = Field(
        None,
        description="The id of an earlier cut-out: its photo is cut again, and `keep`, `remove` "
        "and `point` correct it.",
        examples=[EXAMPLE_ID],
    )
    point: Points | None = Field(
        None,
        description="A place that belongs to the product: its shares of the photo's width and "
        "height, or several such places.",
        examples=["0.5,0.4", "0.5,0.4;0.25,0.9"],
    )

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """The places, as pairs."""
        pairs = (place.split(",") for place in (self.point or "").split(";") if place)
        return tuple((float(x), float(y)) for x, y in pairs)


class CutOutForm(_Asked):
    """A form: exactly one of image, image_url and cutout."""

    image: Annotated[UploadFile | None, File(description=f"A photo: {IMAGE_FORMATS}.")] = None
    product_mask: Annotated[
        UploadFile | None,
        File(description="Marks the product, as in POST /api/generate; not with the hints."),
    ] = None
    keep: Annotated[UploadFile | None, File(description=f"{_STROKES}belongs to the product.")] = (
        None
    )
    remove: Annotated[
        UploadFile | None, File(description=f"{_STROKES}does not belong to the product.")
    ] = None


class CutOutBody(_Asked):
    """JSON: exactly one of image_url and cutout."""

    # As of the other bodies in JSON: "4" is not a number there.
    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, data: Any) -> Any:  # noqa: ANN401 - whatever was sent
        return without_nulls(data)


class Box(BaseModel):
    """A rectangle in pixels."""

    left: int
    top: int
    width: int
    height: int


class CutOutAnswer(BaseModel):
    """Answer of POST /api/cutout."""

    cutout: str = Field(
        description="Its id: `cutout` of the requests that make images.", examples=[EXAMPLE_ID]
    )
    image_url: str = Field(description="The product on transparent ground, a PNG.")
    mask_url: str = Field(description="Its mask, a grey PNG: white is the product.")
    width: int = Field(description="Of both, in pixels.")
    height: int = Field(description="Of both, in pixels.")
    box: Box = Field(description="What the product covers of that.")
    certainty: float = Field(
        description="How sure the search is, 0 to 1; 1 where a mask or transparency says it.",
        examples=[0.94],
    )
    warnings: list[str] = Field(
        description="Sentences about what may be wrong with it.", examples=[[]]
    )
