"""Makes a photo ready for what is wanted: a model's working size, a canvas, a background."""

from __future__ import annotations

from deployments.jobs import Layout, OpenedPhoto, Photo, PreparedPhoto, Product
from deployments.studio.fitting import fit
from deployments.studio.framing import frame


def laid_out(photo: Photo, product: Product | None, layout: Layout, max_side: int) -> OpenedPhoto:
    """Lay a photo out.

    Args:
        photo: The upload, or the result that is varied.
        product: What is kept, in the frame of its photo; None without one.
        layout: What for.
        max_side: The longest side of a result in pixels.

    Raises:
        InvalidRequest: The product cannot lie where it is asked for.
    """
    prepared: PreparedPhoto | None = None
    if layout.size is not None:
        if product is None:
            prepared = fit(photo, layout.size)
        else:
            prepared = frame(photo, product, layout.size)
    return OpenedPhoto(prepared, product)
