"""Makes the file of a result: composes, filters, measures and encodes it."""

from __future__ import annotations

from dataclasses import replace

from deployments.composition import Look
from deployments.encoded import FinishedImage
from deployments.errors import InternalError
from deployments.jobs import GeneratedImage, OpenedPhoto, Pixels
from deployments.recipes import Recipe
from deployments.settings import StudioSettings
from deployments.studio.backdrops import plain, transparent
from deployments.studio.compositing import compose
from deployments.studio.credentials import ManifestSigner
from deployments.studio.encoding import encode
from deployments.studio.fidelity import measure
from deployments.studio.fringes import without_fringe
from deployments.studio.marking import metadata_of
from deployments.studio.resampling import covered
from deployments.studio.safety import SafetyFilter
from deployments.studio.shadows import STRENGTHS, shadow_mask


def finished(
    image: GeneratedImage | None,
    recipe: Recipe,
    opened: OpenedPhoto,
    settings: StudioSettings,
    safety: SafetyFilter | None,
    signer: ManifestSigner | None = None,
) -> FinishedImage:
    """Put the product's own pixels over its background, and encode the result.

    Args:
        image: What a model made; None where the background is plain.
        recipe: How; its public part goes into the file.
        opened: What it was made from; without a product the image stays as it is.
        settings: How products are composed.
        safety: Withholds results; None lets all pass.
        signer: Signs the file; None leaves it unsigned.
    """
    product, look = opened.product, recipe.look
    thrown, dark = look.thrown, _darkness(look, settings)
    if look.background == "transparent" and product is not None:
        pixels = transparent(product, shadow_mask(product, thrown, dark))
    else:
        pixels = _background(image, look, opened)
        if product is not None:
            pixels = compose(pixels, product, thrown, dark, harmonize=look.harmonize)
    if safety and recipe.model and (reason := safety.withholds(recipe.model, pixels)):
        return FinishedImage(b"", None, withheld=reason)
    fidelity = None if product is None else measure(pixels[..., :3], product)
    if fidelity is not None and not look.painted:
        # Nothing was painted that could grow onto the product.
        fidelity = replace(fidelity, shape=1.0)
    told = replace(recipe, fidelity=fidelity, placement=opened.placement)
    height, width = pixels.shape[:2]
    metadata = metadata_of(told, public=settings.public_metadata)
    file = encode(pixels, look.output, metadata)
    if signer is not None:
        file = signer.signed(file, told)
    return FinishedImage(file, fidelity, width=width, height=height, placement=opened.placement)


def _darkness(look: Look, settings: StudioSettings) -> float:
    """How dark the product's shadow is, 0 to 1."""
    if look.shadow_strength is not None:
        return look.shadow_strength
    return STRENGTHS.get(look.thrown, settings.contact_shadow)


def _background(image: GeneratedImage | None, look: Look, opened: OpenedPhoto) -> Pixels:
    """What is behind the product: uint8 [height, width, 3]."""
    if image is not None:
        if opened.placement is None:
            return image.pixels
        if opened.product is not None:
            return without_fringe(image.pixels, opened.product.alpha)
        return covered(image.pixels, opened.placement.width, opened.placement.height)
    if opened.backdrop is not None:
        return opened.backdrop
    if opened.product is None:
        raise InternalError("there is neither a model's image nor a product")
    height, width = opened.product.alpha.shape
    return plain(look.background, width, height)
