"""How results were made: what is stored beside each, and what its file tells."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from deployments.composition import AS_THE_PHOTO, DEFAULT_LOOK, Canvas, Look, Placement
from deployments.jobs import ControlSettings, Fidelity, GenerationSettings

_PRIVATE = (
    "weights",
    "source",
    "source_key",
    "photo_key",
    "mask_key",
    "photo_sha256",
    "photo_opaque",
    "style_sha256",
    "owner",
)
"""Fields that are only the operator's."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a result was made: enough to make it again.

    Attributes:
        model: Catalog id; None where no model painted.
        weights: Where the weights came from, with their revision; None as above.
        scheduler: Scheduler name of the catalog; None as above.
        source: What the image was made from: an upload or one of our results.
        source_key: The object key of that source.
        photo_key: The object key of the upload at the root of the conversation.
        mask_key: The object key of the product of that upload, or of a later result in which one
            was found; None if there is none.
        fidelity: How true the result is to that product; None if it was not kept.
        version: Version of this package.
        created: ISO 8601 time in UTC.
        settings: As in the `ImageJob`; None where no model painted.
        control: As in the `GeneratedImage`; None without a ControlNet.
        look: How it was composed.
        canvas: What was asked of its size, and of the product's place.
        placement: Where the photo of the product lies in it; None in its own frame.
        photo_sha256: SHA-256 of the upload at the root of the conversation, as it was sent, in hex;
            None where it is not known.
        photo_opaque: Whether the photo of the product came without transparency; None where it is
            not known.
        style_sha256: SHA-256 of the style_image, as it was sent, in hex; None without one.
        owner: A digest of the API key's name that made it; None where it is not known.
    """

    model: str | None
    weights: str | None
    scheduler: str | None
    source: Literal["upload", "result"]
    source_key: str
    photo_key: str
    mask_key: str | None
    fidelity: Fidelity | None
    version: str
    created: str
    settings: GenerationSettings | None
    control: ControlSettings | None
    look: Look = DEFAULT_LOOK
    canvas: Canvas = AS_THE_PHOTO
    placement: Placement | None = None
    photo_sha256: str | None = None
    photo_opaque: bool | None = None
    style_sha256: str | None = None
    owner: str | None = None

    def document(self) -> dict[str, object]:
        """Every field, for the JSON stored beside the image.

        `settings`, `control`, `look` and its `output` have no level of their own: their fields
        stand beside the others, those of `control` as `control_scale`, `control_start` and
        `control_end`. `lora` is written as a request has it.
        """
        document = asdict(self)
        control = document.pop("control") or {}
        document |= document.pop("settings") or {}
        if self.settings is not None:
            lora = self.settings.lora
            document["lora"] = None if lora is None else str(lora)
        look = document.pop("look")
        document |= look.pop("output") | look
        return document | {f"control_{name}": value for name, value in control.items()}

    def public(self) -> dict[str, str]:
        """The part that everybody may read who has the image, for the file's metadata."""
        shown = self.document()
        for private in _PRIVATE:
            del shown[private]
        shown["fidelity"] = json.dumps(shown["fidelity"])
        for nested, asked in (("canvas", self.canvas.given), ("placement", self.placement)):
            said = json.dumps(shown.pop(nested))
            if asked:
                shown[nested] = said
        return {name: str(value) for name, value in shown.items() if value is not None}
