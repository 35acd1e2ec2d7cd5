"""Corrects a cut-out by what a caller says about it: strokes to keep, strokes to remove, points.

A stroke changes what is connected to it and looks like it; all else stays as it was.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from deployments.jobs import Mask, Photo, Pixels, Product
from deployments.studio.doubts import ALIKE_BELOW, UNSURE_BELOW, Ground, ground_of, thin_parts
from deployments.studio.finders import Finder
from deployments.studio.fitting import limited
from deployments.studio.foreground import cut_out
from deployments.studio.marks import soften
from deployments.studio.matting import refine
from deployments.studio.segmentation import MOST_SHARE, UNSURE, doubts_about
from deployments.studio.strokes import HintRefused, Marks, Strokes, resized

_SIDE = 320
"""The longer side, in pixels, at which GrabCut works."""
_ROUNDS = 3
_SEED = 1
_FAR = 0.25
"""Share of the picture's longer side that a stroke to keep reaches over its own length."""
_FAR_SHORT = 0.05
"""The same, of a stroke to remove that does not cross a part."""
_NEARER = 0.2
"""The same, of what is looked at again round keep strokes, at least."""
_LONG = 0.3
"""Share of a part's length from which a stroke across it means all of the part."""
_BESIDE = 12.0
"""How far off a thin part a stroke along it may be, in pixels of a `Ground`, at most."""
_SPREAD = 12
"""Levels that the colours of a thing differ by, beside what those under a stroke do."""
_OTHER = 0.3
"""Share of common area up to which two things are not the same."""


def at_size(product: Product, photo: Photo) -> Product:
    """Bring an earlier cut-out to the size of its photo.

    Args:
        product: The cut-out, of any size.
        photo: The photo that it was cut out of.

    Returns:
        The very same product where the sizes are the same.
    """
    height, width = photo.pixels.shape[:2]
    if product.alpha.shape == (height, width):
        return product
    alpha = cv2.resize(product.alpha, (width, height), interpolation=cv2.INTER_LINEAR)
    return cut_out(photo, np.asarray(alpha, np.uint8))


def corrected(photo: Photo, start: Product, strokes: Strokes, finder: Finder) -> Product:
    """Follow hints.

    Args:
        photo: A clean picture.
        start: What was found or marked before, at the photo's size; its alpha is 0 everywhere
            where nothing was.
        strokes: At the photo's size.
        finder: Looks again, nearer, at what strokes keep.

    Returns:
        The product. Alpha is 255 where a stroke keeps, as far as the photo is opaque, and 0 where
        one removes; pixels and alpha are those of `start` away from what the strokes changed. Of a
        stroke along a thin part, which is hardly ever drawn so fine, the plain ground beside that
        part is not kept.
        `certainty` is a mean by area: 1 for what hints added, that of `start` for the rest.

    Raises:
        HintRefused: Nothing is left of the product, or nothing but the product.
    """
    alpha = _alpha(photo.pixels, start.alpha, strokes, finder)
    ground = ground_of(photo.pixels, alpha)
    kept = strokes.keep
    if ground is not None and kept.any():
        kept = kept & ~_add_thin_parts(photo.pixels, alpha, ground, strokes)
    alpha[kept] = 255
    alpha[strokes.remove] = 0
    product = cut_out(photo, alpha)
    same = (product.alpha == start.alpha) & (start.alpha > 0)
    pixels = np.where(same[..., None], start.pixels, product.pixels)
    shown = product.alpha >= 128
    area = np.count_nonzero(shown)
    if area == 0:
        raise HintRefused("remove: nothing is left of the product")
    if area > MOST_SHARE * shown.size:
        raise HintRefused(f"keep: {area / shown.size:.0%} of the photo would be the product")
    said = np.count_nonzero(shown & ((start.alpha < 128) | strokes.keep)) / area
    certainty = float(start.certainty + (1 - start.certainty) * said)
    warnings = [UNSURE] if certainty < UNSURE_BELOW else []
    if ground is not None:
        warnings.extend(doubts_about(ground, product.alpha, strokes.remove))
    return replace(product, pixels=pixels, certainty=certainty, warnings=tuple(warnings))


def _alpha(pixels: Pixels, before: Mask, strokes: Strokes, finder: Finder) -> Mask:
    """The alpha after GrabCut, with a fine edge where it changed."""
    height, width = before.shape
    size = limited(width, height, _SIDE)
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    keep = resized(strokes.keep, size)
    remove = resized(strokes.remove, size) & ~keep
    product = np.asarray(cv2.resize(before, size, interpolation=cv2.INTER_AREA)) >= 128
    part = _touching(product | remove, remove) & product
    crossed = part if part.any() and _crosses(remove, part) else np.zeros_like(part)
    likely = _likely(pixels, product, crossed, keep, remove, finder)
    labels = np.where(likely, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[~_within(keep, _FAR) & ~likely & ~product] = cv2.GC_BGD
    # A short stroke does not take a product away that looks like what it removes.
    labels[~_within(remove, _FAR_SHORT) & likely & product & ~crossed] = cv2.GC_FGD
    labels[keep], labels[remove] = cv2.GC_FGD, cv2.GC_BGD
    marks = _grab_cut(small.reshape(size[1], size[0], 3), labels)
    added = _touching((marks & ~product) | keep, keep)
    dropped = _touching((product & ~marks) | remove, remove)
    if 2 * np.count_nonzero((product & ~dropped) | added) < np.count_nonzero(product):
        # So little would be left where a stroke removes some of what has one colour all over.
        dropped = remove
    # With the rim of what is dropped, which is finer than these cells.
    grown = cv2.dilate(dropped.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    dropped |= grown & ~product & ~added

    def large(part: Marks) -> Marks:
        levels = part.astype(np.uint8) * np.uint8(255)
        return np.asarray(cv2.resize(levels, (width, height))) >= 128

    whole = before >= 128
    gone = large(dropped)
    after = ((whole | large(added)) & ~gone | strokes.keep) & ~strokes.remove
    changed = ((after != whole) | (gone & (before > 0))).astype(np.uint8)
    reach = max(2, round(1.5 * max(before.shape) / _SIDE))
    near = cv2.dilate(changed, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    alpha = before.copy()
    left, top, wide, high = cv2.boundingRect(near.astype(np.uint8))
    if wide:
        margin = 8 * reach
        box = (
            slice(max(0, top - margin), top + high + margin),
            slice(max(0, left - margin), left + wide + margin),
        )
        fine = refine(pixels[box], after[box].astype(np.uint8) * np.uint8(255), reach)
        alpha[box][near[box]] = fine[near[box]]
    return alpha


def _likely(
    pixels: Pixels, product: Marks, crossed: Marks, keep: Marks, remove: Marks, finder: Finder
) -> Marks:
    """What GrabCut starts from: the cut-out, a nearer look at what is kept, no wrong part.

    What a long stroke crosses goes as a whole where the product is elsewhere.
    """
    likely = product.copy()
    if remove.any() and not crossed.any():
        likely &= ~(_alike(pixels, remove) & _within(remove, _FAR_SHORT))
    beside = not (_touching(product | keep, keep) & product).any()
    near = np.zeros_like(keep)
    # The network takes most of the time: it is asked only where the strokes say something new.
    if keep.any() and (crossed.any() or beside):
        near = _looked_at_again(pixels, keep, remove, finder)
    area = np.count_nonzero(crossed)
    elsewhere = near.any() and np.count_nonzero(crossed & near) < _OTHER * area
    smaller = not (crossed & keep).any() and 2 * area < np.count_nonzero(product)
    if elsewhere or smaller:
        likely &= ~crossed
    if keep.any() and beside and not near.any():
        near = _alike(pixels, keep)
        # What has the colours of a stroke up to the picture's border is rather a wall.
        if near[0].any() or near[-1].any() or near[:, 0].any() or near[:, -1].any():
            near[:] = False
    if np.count_nonzero(near & likely) < _OTHER * np.count_nonzero(near):
        likely |= near
    return likely


def _looked_at_again(pixels: Pixels, keep: Marks, remove: Marks, finder: Finder) -> Marks:
    """What stands out round the strokes to keep; nothing where that contradicts the strokes."""
    nothing = np.zeros_like(keep)
    left, top, wide, high = cv2.boundingRect(keep.astype(np.uint8))
    margin = max(wide, high, round(_NEARER * max(keep.shape)))
    rows = slice(max(0, top - margin), min(keep.shape[0], top + high + margin))
    columns = slice(max(0, left - margin), min(keep.shape[1], left + wide + margin))
    scale = max(pixels.shape) / max(keep.shape)
    near = pixels[
        round(rows.start * scale) : round(rows.stop * scale),
        round(columns.start * scale) : round(columns.stop * scale),
    ]
    size = (columns.stop - columns.start, rows.stop - rows.start)
    seen = cv2.resize(finder.coarse(np.ascontiguousarray(near)), size, interpolation=cv2.INTER_AREA)
    marks = nothing.copy()
    marks[rows, columns] = np.asarray(seen) >= 128
    if 2 * np.count_nonzero(marks & keep) < np.count_nonzero(keep):
        return nothing
    if 5 * np.count_nonzero(marks & remove) > np.count_nonzero(remove):
        return nothing
    return _touching(marks, keep)


def _alike(pixels: Pixels, strokes: Marks) -> Marks:
    """What is connected to strokes and has their colours, channel by channel."""
    size = (strokes.shape[1], strokes.shape[0])
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    known = small[strokes]
    spread = known.std(axis=0) + _SPREAD
    near = np.abs(small - known.mean(axis=0)) < 2 * spread
    return _touching(near.all(axis=2) | strokes, strokes)


def _within(strokes: Marks, share: float) -> Marks:
    """A box round strokes: larger by their own length, and a share of the picture's longer side.

    Everything where there are no strokes.
    """
    if not strokes.any():
        return np.ones_like(strokes)
    left, top, wide, high = cv2.boundingRect(strokes.astype(np.uint8))
    reach = round(share * max(strokes.shape)) + max(wide, high)
    inside = np.zeros_like(strokes)
    inside[max(0, top - reach) : top + high + reach, max(0, left - reach) : left + wide + reach] = (
        True
    )
    return inside


def _grab_cut(pixels: Pixels, labels: Mask) -> Marks:
    """Rother et al., "GrabCut: Interactive Foreground Extraction", 2004, as OpenCV has it."""
    front = labels & 1 > 0
    if front.all() or not front.any():
        return front
    # OpenCV's clusters begin at random places: the same ones each time.
    cv2.setRNGSeed(_SEED)
    back_model, front_model = np.zeros((1, 65)), np.zeros((1, 65))
    nowhere = (0, 0, 0, 0)
    mode = cv2.GC_INIT_WITH_MASK
    cv2.grabCut(pixels, labels, nowhere, back_model, front_model, _ROUNDS, mode)
    return labels & 1 > 0


def _touching(marks: Marks, strokes: Marks) -> Marks:
    """The connected parts that strokes touch."""
    count, parts = cv2.connectedComponents(marks.astype(np.uint8), connectivity=4)
    touched = np.zeros(count, np.bool_)
    touched[parts[strokes & marks]] = True
    touched[0] = False
    return np.asarray(touched[parts], np.bool_)


def _crosses(stroke: Marks, part: Marks) -> bool:
    """Whether a stroke is long, measured by a part, and runs through its middle."""
    depth = np.asarray(cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 3))
    deep = 2 * depth[stroke].max() >= depth.max()
    return bool(deep) and _length(stroke) >= _LONG * _length(part)


def _length(marks: Marks) -> int:
    return int(max(cv2.boundingRect(marks.astype(np.uint8))[2:]))


def _add_thin_parts(pixels: Pixels, alpha: Mask, ground: Ground, strokes: Strokes) -> Marks:
    """Give the alpha thin parts, too fine for GrabCut, that keep strokes touch.

    Returns:
        What the strokes cover of the ground beside these parts; the alpha has it no more.
    """
    height, width = ground.different.shape
    keep = resized(strokes.keep, (width, height))
    remove = resized(strokes.remove, (width, height))
    parts = thin_parts(ground) & ~remove
    thin = _touching(parts | keep, keep).astype(np.uint8)
    left, top, wide, high = cv2.boundingRect(thin)
    scale = alpha.shape[0] / height, alpha.shape[1] / width
    box = (
        slice(int(max(0, top - 4) * scale[0]), int((top + high + 4) * scale[0])),
        slice(int(max(0, left - 4) * scale[1]), int((left + wide + 4) * scale[1])),
    )
    near = pixels[box]
    rows = slice(max(0, top - 4), top + high + 4)
    columns = slice(max(0, left - 4), left + wide + 4)

    def fine(marks: Marks) -> Marks:
        """Marks of the box at the photo's size, wider by a pixel."""
        grown = cv2.dilate(marks[rows, columns].astype(np.uint8), np.ones((3, 3), np.uint8))
        size = (near.shape[1], near.shape[0])
        return np.asarray(cv2.resize(grown, size, interpolation=cv2.INTER_NEAREST)) > 0

    band = fine(thin > 0)
    place = (box[0].start, box[1].start)
    differs = ground.differs(near, place, alpha.shape)
    is_ground = ~ground.differs(near, place, alpha.shape, ALIKE_BELOW)
    spilled = np.zeros(alpha.shape, np.bool_)
    spilled[box] = strokes.keep[box] & is_ground & fine(_along(parts, keep))
    marked = differs & band & ~strokes.remove[box]
    soft = soften(near, (marked | strokes.keep[box] & ~spilled[box]).astype(np.uint8))
    soft[~band] = 0
    # What the stroke's own edge was given goes with it.
    rim = cv2.dilate(spilled[box].astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    alpha[box][rim & ~differs] = 0
    alpha[box] = np.maximum(alpha[box], soft)
    return spilled


def _along(parts: Marks, keep: Marks) -> Marks:
    """The strokes that run along thin parts: all but a fifth lies no further off than its width."""
    count, numbers = cv2.connectedComponents(keep.astype(np.uint8))
    depth = np.asarray(cv2.distanceTransform(keep.astype(np.uint8), cv2.DIST_L2, 3))
    away = np.asarray(cv2.distanceTransform((~parts).astype(np.uint8), cv2.DIST_L2, 3))
    reach = np.zeros(count, np.float32)
    np.maximum.at(reach, np.asarray(numbers, np.intp).ravel(), depth.ravel())
    beside = away <= np.minimum(2 * reach + 2, _BESIDE)[numbers]
    size = np.bincount(numbers.ravel(), minlength=count)
    along = np.bincount(numbers.ravel(), beside.ravel(), minlength=count) >= 0.8 * size
    return np.asarray(keep & along[numbers], np.bool_)
