"""Results without a model, and on canvases, from the layout to the file."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image
from product_scenes import scene

from deployments.composition import Canvas, Look, Output
from deployments.encoded import FinishedImage
from deployments.jobs import (
    ControlSettings,
    GeneratedImage,
    GenerationSettings,
    Layout,
    OpenedPhoto,
    Photo,
    Product,
)
from deployments.recipes import Recipe
from deployments.settings import StudioSettings
from deployments.studio.finishing import finished
from deployments.studio.foreground import cut_out
from deployments.studio.layouts import laid_out

CANVAS = Canvas(size=(500, 620), padding=0.1, position="bottom")


def vase() -> tuple[Photo, Product]:
    pixels, alpha, _ = scene()
    return Photo(pixels), cut_out(Photo(pixels), alpha)


def recipe(look: Look) -> Recipe:
    return Recipe(
        model=None,
        weights=None,
        scheduler=None,
        source="upload",
        source_key="SOURCE",
        photo_key="PHOTO",
        mask_key=None,
        fidelity=None,
        version="1",
        created="2026-01-01T00:00:00Z",
        settings=GenerationSettings("", "", 1, 20, 7.5, 0.8),
        control=ControlSettings(),
        look=look,
        canvas=CANVAS,
    )


def plain(background: str) -> tuple[FinishedImage, OpenedPhoto]:
    opened = laid_out(*vase(), Layout(None, CANVAS, background=background), 1536)
    look = Look(background=background, output=Output("png"))
    return finished(None, recipe(look), opened, StudioSettings(), None), opened


def pixels_of(result: FinishedImage) -> np.ndarray:
    with Image.open(BytesIO(result.file)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("colour", [(255, 255, 255), (16, 32, 48)])
def test_a_colour_is_in_every_pixel_outside_the_product(colour: tuple[int, int, int]) -> None:
    result, opened = plain("#{:02x}{:02x}{:02x}".format(*colour))
    pixels = pixels_of(result)
    assert opened.product is not None
    assert pixels.shape == (620, 500, 3)
    assert (result.width, result.height) == (500, 620)
    assert (pixels[opened.product.alpha == 0] == colour).all()
    core = opened.product.alpha == 255
    assert np.array_equal(pixels[core], opened.product.pixels[core])
    assert result.fidelity is not None
    assert (result.fidelity.pixels, result.fidelity.shape) == (1, 1)
    assert result.placement == opened.placement


def test_nothing_behind_a_product_is_its_alpha() -> None:
    result, opened = plain("transparent")
    assert opened.product is not None
    assert np.array_equal(pixels_of(result)[..., 3], opened.product.alpha)


def test_blur_is_behind_the_product() -> None:
    result, opened = plain("blur")
    assert opened.product is not None
    assert opened.backdrop is not None
    clear = opened.product.alpha == 0
    assert np.array_equal(pixels_of(result)[clear], opened.backdrop[clear])


def test_a_picture_without_a_product_has_the_canvass_size() -> None:
    photo, _ = vase()
    opened = laid_out(photo, None, Layout(256, Canvas(size=(500, 620))), 1536)
    assert opened.prepared is not None
    image = GeneratedImage(opened.prepared.pixels, engine_s=1, weights="w")
    result = finished(image, recipe(Look()), opened, StudioSettings(), None)
    assert (result.width, result.height) == (500, 620)
    assert pixels_of(result).shape == (620, 500, 3)


def test_a_scene_is_as_the_model_made_it_but_for_the_products_surroundings() -> None:
    opened = laid_out(*vase(), Layout(256, CANVAS), 1536)
    assert opened.prepared is not None
    assert opened.product is not None
    scene_made = np.full_like(opened.prepared.pixels, 90)
    # What bleeds: the product itself and a little around it.
    height, width = scene_made.shape[:2]
    shown = cv2.resize(opened.product.alpha, (width, height))
    scene_made[cv2.dilate(shown, np.ones((5, 5))) > 0] = (220, 60, 40)
    image = GeneratedImage(scene_made, engine_s=1, weights="w")
    look = Look(shadow="none")
    result = pixels_of(finished(image, recipe(look), opened, StudioSettings(), None))
    away = cv2.distanceTransform((opened.product.alpha == 0).astype(np.uint8), cv2.DIST_L2, 5)
    assert (result[away > 40] == 90).all()
    near = result[(away > 0) & (away <= 4)].mean(axis=0)
    assert np.abs(near - 90).max() < 80
