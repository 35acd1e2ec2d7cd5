"""A result has the shadow and the light that its recipe says."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from ground_scenes import SIDE, bottle, drawn
from test_studio import RECIPE

from deployments.composition import Look, Shadow
from deployments.encoded import FinishedImage
from deployments.jobs import GeneratedImage, OpenedPhoto, Pixels
from deployments.settings import StudioSettings
from deployments.studio.compositing import compose
from deployments.studio.finishing import finished

SCENE = np.full((SIDE, SIDE, 3), (230, 180, 120), np.uint8)
PRODUCT = drawn(bottle().alpha)


def made(look: Look, **settings: object) -> FinishedImage:
    image = GeneratedImage(SCENE, engine_s=1.0, weights="w")
    recipe = replace(RECIPE, look=look)
    given = StudioSettings.model_validate(settings)
    return finished(image, recipe, OpenedPhoto(None, PRODUCT), given, None)


def pixels(look: Look, **settings: object) -> Pixels:
    bgr = cv2.imdecode(np.frombuffer(made(look, **settings).file, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(bgr[..., ::-1], np.uint8)


def test_a_scene_gets_a_contact_shadow() -> None:
    default = StudioSettings().contact_shadow
    assert np.array_equal(pixels(Look()), compose(SCENE, PRODUCT, "contact", default))


def test_an_operator_chooses_its_darkness_and_a_request_goes_before() -> None:
    assert np.array_equal(pixels(Look(), contact_shadow=0), compose(SCENE, PRODUCT))
    asked = pixels(Look(shadow_strength=0.9), contact_shadow=0)
    assert np.array_equal(asked, compose(SCENE, PRODUCT, "contact", 0.9))


@pytest.mark.parametrize("shadow", ["cast", "floating"])
def test_other_shadows_have_a_darkness_of_their_own(shadow: Shadow) -> None:
    result = pixels(Look(shadow=shadow), contact_shadow=0)
    assert (compose(SCENE, PRODUCT).astype(int) - result).max() > 40


@pytest.mark.parametrize("background", ["#E6B478", "scene"])
def test_without_a_shadow_the_background_is_the_background(background: str) -> None:
    shadow: Shadow | None = "none" if background == "scene" else None
    result = pixels(Look(background=background, shadow=shadow))
    assert (result[PRODUCT.alpha == 0] == SCENE[0, 0]).all()


def test_harmonize_is_told_by_fidelity() -> None:
    fidelity = made(Look(harmonize=1.0)).fidelity
    assert fidelity is not None
    assert fidelity.pixels < 0.5
    plain = made(Look()).fidelity
    assert plain is not None
    assert plain.pixels == 1
