"""What the files of a request mean for its images, and what photos are made ready for."""

from __future__ import annotations

from deployments.errors import InvalidRequest
from deployments.ingress.core.cutout_source import check_cutout
from deployments.ingress.core.decoder import Decoder
from deployments.ingress.core.orders import Files, Plan
from deployments.jobs import Layout


def check_files(plan: Plan, files: Files, cutout: str | None) -> None:
    """Refuse files that contradict what is planned.

    Args:
        plan: What is made.
        files: What came with the request.
        cutout: The key of the cut-out that is kept; None without one.

    Raises:
        InvalidRequest: It names the field.
    """
    preserve, mask = plan.order.preserve, files.product_mask
    if mask is not None and preserve == "false":
        raise InvalidRequest(
            "product_mask marks what is kept, and preserve_product=false keeps nothing: "
            "send one of them"
        )
    check_cutout(cutout, preserve, marked=mask is not None)
    if files.style_image is None:
        return
    if plan.model is None:
        raise InvalidRequest(
            f"style_image: background={plan.order.look.background} is painted by no model"
        )
    if not plan.model.traits.edits:
        raise InvalidRequest(
            f"style_image: model {plan.model.id!r} looks at no picture but the photo; models with "
            "the capability style_image do"
        )


async def layout_of(plan: Plan, files: Files, decoder: Decoder) -> Layout:
    """What photos are made ready for.

    Args:
        plan: What is made.
        files: What came with the request.
        decoder: Turns files into pixels.

    Raises:
        InvalidImage: A file is not an image that is accepted.
    """
    pictures = {
        name: await decoder.photo(await file.read(), name) for name, file in files.beside.items()
    }
    model, look = plan.model, plan.order.look
    behind = pictures.get("background_image")
    return Layout(
        size=None if model is None else model.size,
        shows_first=model is not None and model.traits.edits,
        canvas=plan.order.canvas,
        background=look.background,
        picture=None if behind is None else behind.pixels,
        style=pictures.get("style_image"),
        shadow=look.shadow,
    )
