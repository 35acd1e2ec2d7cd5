"""Makes a photo ready for what is wanted: a model's working size, a canvas, a background.

The frame of a product is that of the photo it was cut out of. A result that is varied has a frame
of its own where its product was placed on a canvas.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from deployments.composition import Placement
from deployments.errors import InternalError
from deployments.jobs import Layout, OpenedPhoto, Photo, Pixels, PreparedPhoto, Product
from deployments.studio.backdrops import backdrop, cleared, without_product
from deployments.studio.compositing import blend
from deployments.studio.fitting import fit, limited, working_size
from deployments.studio.framing import frame
from deployments.studio.placing import covering, place
from deployments.studio.resampling import covered, placed
from deployments.studio.shadows import draws_nothing

_COLOURS_SIDE = 64
"""The longer side, in pixels, of the picture that holds a background's colours."""
_FAR = 0.15
"""Standard deviation of their blur, as a share of that side: no shape of the background is left."""

NO_GROUND = (
    "the photo is transparent around the product, so blur has nothing to show there but white"
)


def laid_out(
    photo: Photo | None,
    product: Product | None,
    layout: Layout,
    max_side: int,
    first: Photo | None = None,
) -> OpenedPhoto:
    """Lay a photo and its product out as a request asks for it.

    Args:
        photo: The upload, or the result that is varied. It may be larger or smaller than the frame
            that it shows, and by rounding of a slightly other shape. None where there is a product
            and the layout does not read the photo.
        product: What is kept, in the frame of the photo it was cut out of; None without one.
        layout: What is asked for. Where it says no size and no shape, a result keeps its own.
        max_side: The longer side of a result in pixels, at most.
        first: The first photo of the conversation, where the model is shown that too.

    Returns:
        The photo and its product, with warnings about their places; the product's own come before
        them.

    Raises:
        InvalidRequest: The product cannot lie where it is asked for.
    """
    opened = _laid_out(photo, product, layout, max_side)
    shown = [photo for photo in (first, layout.style) if photo is not None]
    if not shown or layout.size is None or opened.prepared is None:
        return opened
    references = tuple(fit(photo, layout.size).pixels for photo in shown)
    return replace(opened, prepared=replace(opened.prepared, references=references))


def _laid_out(
    photo: Photo | None, product: Product | None, layout: Layout, max_side: int
) -> OpenedPhoto:
    if photo is None:
        if product is None or layout.reads_photo:
            raise InternalError("there is no photo to lay out")
        photo = Photo(product.pixels)
    if product is None:
        return _without_product(photo, layout, max_side)
    before = layout.placement
    canvas = layout.canvas
    if canvas.given and before and canvas.size is None and canvas.aspect is None:
        canvas = replace(canvas, size=(before.width, before.height))
    placement, warnings = place(
        product, canvas, max_side=max_side, opaque_photo=layout.opaque_photo
    )
    if not canvas.given:
        placement = before
    lying = product if placement is None else placed(product, placement)
    if layout.background == "blur" and photo.alpha is not None and photo.alpha.min() < 128:
        warnings = (*warnings, NO_GROUND)
    if layout.shadow is not None and (undrawn := draws_nothing(lying, layout.shadow)):
        warnings = (*warnings, undrawn)
    behind = prepared = None
    if layout.size is None:
        shown = product if before is None else placed(product, before)
        behind = backdrop(
            layout.background,
            layout.picture,
            photo.pixels,
            shown,
            _moved(product, before, placement),
        )
    else:
        start = photo
        if placement is not None and not layout.varied:
            start = Photo(_on_its_colours(photo.pixels, product, lying))
        elif placement != before:
            start = Photo(_on_the_result(photo.pixels, product, before, lying))
        prepared = frame(start, lying, layout.size)
    return OpenedPhoto(
        prepared,
        lying,
        warnings,
        cut=None if placement is None else product,
        placement=placement,
        backdrop=behind,
    )


def _without_product(photo: Photo, layout: Layout, max_side: int) -> OpenedPhoto:
    """The photo covers the canvas; where its product lies in it is handed on for later."""
    height, width = photo.pixels.shape[:2]
    over = covering(width, height, layout.canvas, max_side=max_side)
    if over is None:
        prepared = None if layout.size is None else fit(photo, layout.size)
        return OpenedPhoto(prepared, None, placement=layout.placement)
    prepared = None
    if layout.size is not None:
        size = working_size(over.width, over.height, layout.size)
        prepared = PreparedPhoto(covered(photo.pixels, *size))
    before, placement = layout.placement, over
    if before is not None:
        scale = over.scale * limited(width, height, max_side)[0] / before.width
        left, top = over.left + before.left * scale, over.top + before.top * scale
        placement = Placement(over.width, over.height, before.scale * scale, left, top)
    return OpenedPhoto(prepared, None, placement=placement)


def _moved(product: Product, before: Placement | None, after: Placement | None) -> Placement | None:
    """Where a picture lies on the canvas in which the product lay at a placement before."""
    if before == after:
        return None
    height, width = product.alpha.shape
    own = Placement(width, height, 1.0, 0.0, 0.0)
    before, after = before or own, after or own
    scale = after.scale / before.scale
    left, top = after.left - before.left * scale, after.top - before.top * scale
    return Placement(after.width, after.height, scale, left, top)


def _on_its_colours(photo: Pixels, product: Product, lying: Product) -> Pixels:
    """The product on the far-blurred colours of its background, stretched over the canvas."""
    high, wide = product.alpha.shape
    share = min(1.0, _COLOURS_SIDE / max(wide, high))
    size = (max(1, round(wide * share)), max(1, round(high * share)))
    far = cv2.GaussianBlur(without_product(photo, product.alpha, size), (0, 0), _FAR * max(size))
    height, width = lying.alpha.shape
    spread = cv2.resize(far, (width, height)).reshape(height, width, 3)
    scene = np.rint(spread).clip(0, 255).astype(np.uint8)
    blend(scene, lying)
    return scene


def _on_the_result(
    result: Pixels, product: Product, before: Placement | None, lying: Product
) -> Pixels:
    """The product on a result that covers another canvas, without the product where it was."""
    was = product if before is None else placed(product, before)
    height, width = lying.alpha.shape
    scene = covered(cleared(result, was.alpha), width, height).copy()
    blend(scene, lying)
    return scene
