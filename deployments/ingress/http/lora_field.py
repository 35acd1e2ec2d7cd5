"""The wire field `lora`: which LoRA of its model an image is made with, and how strongly."""

from __future__ import annotations

from textwrap import shorten

from pydantic import BaseModel, Field, field_validator
from pydantic_core import PydanticCustomError

from deployments.loras import LORA, MOST_SCALE, read_lora


class LoraField(BaseModel):
    """The field; `named_lora` is what the use cases take."""

    lora: str | None = Field(
        None,
        description="A LoRA of the model, one of its `loras` in GET /api/models: its name, or "
        f"`name:scale` with a scale from -{MOST_SCALE:g} to {MOST_SCALE:g}. None if absent.",
        examples=["watercolour:0.8"],
        json_schema_extra={"pattern": LORA},
    )

    @field_validator("lora")
    @classmethod
    def _a_name_and_a_scale(cls, lora: str | None) -> str | None:
        try:
            if lora is not None:
                read_lora(lora)
        except ValueError:
            raise PydanticCustomError(
                "lora",
                "NAME or NAME:SCALE, with letters, digits, - and _ in the name and a number from "
                "-{most} to {most} as the scale, not {given}",
                {"most": f"{MOST_SCALE:g}", "given": repr(shorten(lora or "", 100))},
            ) from None
        return lora

    def named_lora(self) -> tuple[str | None, float | None]:
        """The name and the scale; None for what the request leaves out."""
        return (None, None) if self.lora is None else read_lora(self.lora)
