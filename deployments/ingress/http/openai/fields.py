"""OpenAI's fields as those of POST /api/generate, which checks them and makes the order."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from deployments.composition import SCENE
from deployments.errors import InvalidRequest
from deployments.ingress.core.orders import Files, Order
from deployments.ingress.http.forms import SentFiles, refuse_twice
from deployments.ingress.http.look_fields import BACKGROUND
from deployments.ingress.http.openai.failures import NAMES
from deployments.ingress.http.schemas import GenerateForm
from deployments.settings import ModelSettings

MAX_FILES, MAX_FIELDS = 20, 48
"""Parts of a form: OpenAI takes 16 images, and too many are told by their number."""

IMAGES = ("image", "image[]")
"""The names of the picture's field: the second is what clients send a list as."""

ResponseFormat = Literal["b64_json", "url"]

MORE_STEPS = 1.5
"""How many times the model's steps quality=high takes; low takes half of them."""

NO_SVG, NO_GIF = "no SVG is made here", "no animation is made here"

REFUSED: Mapping[str, str] = {
    "complexity": "no model here plans an image before it paints it",
    "frame_count": NO_GIF,
    "frame_duration_ms": NO_GIF,
    "markup": "no model here reads drawings over the photo; mask says what may change",
    "style": "no model here has styles; say it in the prompt",
    "svg": NO_SVG,
}
"""Why fields are refused that clients know from elsewhere."""


class OwnFields(BaseModel):
    """The fields that are about the answer, or that only OpenAI has."""

    response_format: ResponseFormat = Field(
        "b64_json", description="Whether images come in the answer, or as URLs."
    )
    stream: bool = Field(
        False, description="Answer with events: `image_edit.completed` for each image."
    )
    partial_images: int = Field(
        0,
        ge=0,
        le=3,
        description="Previews of each image: 0, as yet.",
        json_schema_extra={"maximum": 0},
    )
    quality: Literal["auto", "low", "medium", "high", "standard", "hd"] = Field(
        "auto",
        description="`low` takes half of the model's steps, `high` and `hd` half as many again; "
        "not together with `steps`.",
    )
    input_fidelity: Literal["high", "low"] = Field(
        "low", description="Either keeps the product; `high` contradicts preserve_product=false."
    )
    moderation: Literal["auto", "low"] = Field(
        "auto",
        description="`auto`: the operator decides about the safety filter.",
        json_schema_extra={"enum": ["auto"]},
    )
    user: str = Field("", description="Changes nothing.")
    safety_identifier: str = Field("", description="Changes nothing.")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the use cases take it, and the answer that it wants.

    Attributes:
        order: What to make.
        files: The files.
        cutout: The id of a cut-out that is kept; None without one.
        response_format: How an image comes.
        stream: Answer with events.
        quality: What the answer says of its quality; None where the request chose the steps.
        names: By our names of fields the caller's.
    """

    order: Order
    files: Files
    cutout: str | None
    response_format: ResponseFormat
    stream: bool
    quality: str | None
    names: Mapping[str, str]


def names_of(form: FormData) -> dict[str, str]:
    """By our names of fields those by which a form's caller knows them."""
    names = dict(NAMES)
    if form.get("mask"):
        names["product_mask"] = "mask"
    if len(_sent(form)) > 1:
        names["style_image"] = "image"
    return names


def read(
    form: FormData, sent: SentFiles, generate: type[GenerateForm], catalog: Sequence[ModelSettings]
) -> Asked:
    """Read a form.

    Args:
        form: As it was sent; an empty field is one that was left open.
        sent: Its files.
        generate: What the form of POST /api/generate must be.
        catalog: The models, the first of which is the default.

    Raises:
        RequestValidationError: Its fields are wrong.
        InvalidRequest: It has a field twice, one that cannot be honoured, or a contradiction.
    """
    refuse_twice([name for name, _ in form.multi_items() if name not in IMAGES])
    given = {name: value for name, value in form.items() if value != "" and name not in IMAGES}
    for name in given:
        if (here := NAMES.get(name)) is not None:
            raise InvalidRequest(f"unknown field: {name}, whose name is {here} here")
        if (why := REFUSED.get(name.partition("[")[0])) is not None:
            raise InvalidRequest(f"{name}: {why}")
    asked = {name: given.pop(name) for name in OwnFields.model_fields if name in given}
    fields = _fields(given, generate, catalog, asked.get("quality"))
    model = _model_of(fields, generate, catalog)
    fields |= _images(form, fields, model)
    own, body = _validated(asked, fields, generate, names_of(form))
    _check(own, body)
    order = body.order(pictured=body.background_image is not None)
    files = Files(
        image=sent.file_or_none(body.image),
        product_mask=sent.file_or_none(body.product_mask),
        background_image=sent.file_or_none(body.background_image),
        style_image=sent.file_or_none(body.style_image),
        mask_by_alpha="mask" in given,
    )
    usual = own.quality in ("auto", "standard")
    quality = "medium" if usual else "high" if own.quality == "hd" else own.quality
    chosen = usual and body.steps is not None
    return Asked(
        order=order,
        files=files,
        cutout=body.cutout,
        response_format=own.response_format,
        stream=own.stream,
        quality=quality if order.look.painted and not chosen else None,
        names=names_of(form),
    )


def _fields(
    given: Mapping[str, Any],
    generate: type[GenerateForm],
    catalog: Sequence[ModelSettings],
    quality: object,
) -> dict[str, Any]:
    """The fields of POST /api/generate."""
    ours = {here: name for name, here in NAMES.items()}
    fields = {ours.get(name, name): value for name, value in given.items()}
    preset = generate.presets.get(str(fields.get("preset")), {})
    if (mask := fields.pop("mask", None)) is not None:
        if not isinstance(mask, UploadFile):
            raise InvalidRequest("mask must be a file")
        if "product_mask" in fields:
            raise InvalidRequest("mask and product_mask both mark the product: send one of them")
        fields["product_mask"] = mask
    background = str(fields.get("background", SCENE))
    if background == "auto":
        del fields["background"]
    elif background == "opaque":
        fields["background"] = SCENE
    elif not re.fullmatch(BACKGROUND, background):
        raise InvalidRequest(
            "background must be auto, opaque, transparent, scene, blur, image, or a colour as "
            "#RRGGBB"
        )
    for name, value in {"num_images": "1", "model": catalog[0].id}.items():
        if name not in preset:
            fields.setdefault(name, value)
    if "output_format" in fields and fields["output_format"] != "png":
        fields.setdefault("output_quality", "100")  # as OpenAI's default
    elif fields.get("output_quality") == "100" and "output_format" not in preset:
        del fields["output_quality"]  # of a PNG, which keeps everything
    if quality in ("low", "high", "hd"):
        if "steps" in fields:
            raise InvalidRequest("quality and steps each say how many steps: send one of them")
        if (model := _model_of(fields, generate, catalog)) is not None:
            fields["steps"] = str(_steps(model, lower=quality == "low"))
    return fields


def _model_of(
    fields: Mapping[str, Any], generate: type[GenerateForm], catalog: Sequence[ModelSettings]
) -> ModelSettings | None:
    """The model of a request, which its preset may name; None where none is known by that name."""
    preset = generate.presets.get(str(fields.get("preset")), {})
    named = fields.get("model", preset.get("model"))
    return next((model for model in catalog if model.id == named), None)


def _steps(model: ModelSettings, *, lower: bool) -> int:
    if lower:
        return max(math.ceil(model.steps / 2), math.ceil(1 / model.strength))
    return min(math.ceil(model.steps * MORE_STEPS), model.max_steps)


def _sent(form: FormData) -> list[UploadFile | str]:
    """The pictures."""
    return [value for name in IMAGES for value in form.getlist(name) if value != ""]


def _images(
    form: FormData, fields: Mapping[str, Any], model: ModelSettings | None
) -> dict[str, UploadFile | str]:
    """The photo and what the model looks at beside it, by their fields of POST /api/generate."""
    sent = _sent(form)
    names = ["image", "style_image"] if model is not None and model.traits.edits else ["image"]
    if len(sent) > 1 and model is not None and len(sent) > len(names):
        most = "one picture" if len(names) == 1 else "two pictures at most"
        raise InvalidRequest(
            f"image: model {model.id!r} looks at {most}, and {len(sent)} were sent"
        )
    if len(sent) > 1 and "style_image" in fields:
        raise InvalidRequest("image and style_image both have a second picture: send one of them")
    return dict(zip(names, sent, strict=False))


def _validated(
    asked: Mapping[str, Any],
    fields: Mapping[str, Any],
    generate: type[GenerateForm],
    names: Mapping[str, str],
) -> tuple[OwnFields, GenerateForm]:
    details: list[dict[str, Any]] = []
    made: list[BaseModel] = []
    for kind, values in ((OwnFields, asked), (generate, fields)):
        try:
            made.append(kind.model_validate(values))
        except ValidationError as error:
            details += [{**detail, "loc": _loc(detail["loc"], names)} for detail in error.errors()]
    if details:
        raise RequestValidationError(details)
    own, body = made
    return cast("OwnFields", own), cast("GenerateForm", body)


def _loc(loc: tuple[int | str, ...], names: Mapping[str, str]) -> tuple[int | str, ...]:
    return ("body", *(names.get(str(part), part) for part in loc))


def _check(own: OwnFields, body: GenerateForm) -> None:
    """Refuse what cannot be honoured.

    Raises:
        InvalidRequest: There is such a field.
    """
    if own.partial_images:
        raise InvalidRequest(
            "partial_images: no previews are made of an image; with 0 each image is streamed as "
            "soon as it is done"
        )
    if own.moderation == "low":
        raise InvalidRequest("moderation: the operator sets the safety filter; only auto is taken")
    if own.input_fidelity == "high" and body.preserve_product == "false":
        raise InvalidRequest(
            "input_fidelity: high keeps the product, and preserve_product=false keeps none: send "
            "one of them"
        )
